using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace SimpleChat.Wire;

// The shapes of messages and pages, for the descriptions of the API and of the wire. FrameWriter writes them without these records.

internal record MessageBody(
    [property: Range(1d, IncomingFrame.MaxId), Description("Rises in commit order.")] long Id,
    [property: RegularExpression(UserId.Pattern)] string From,
    [property: RegularExpression(UserId.Pattern)] string To,
    [property: MinLength(1)] string Text,
    [property: RegularExpression(FrameWriter.TimePattern), Description("UTC; never falls as the id rises.")] string SentAt);

internal sealed record HistoryMessageBody(long Id, string From, string To, string Text, string SentAt, bool Delivered)
    : MessageBody(Id, From, To, Text, SentAt);

internal sealed record ConversationBody(string With, HistoryMessageBody Last);

internal sealed record InboxBody(IReadOnlyList<MessageBody> Messages);

internal sealed record HistoryBody(IReadOnlyList<HistoryMessageBody> Messages, bool HasMore);

internal sealed record ConversationsBody(IReadOnlyList<ConversationBody> Conversations, bool HasMore);

// The shapes of bodies that come in, and of small answers.

internal sealed record SendBody(
    [property: RegularExpression(UserId.Pattern)] string To,
    [property: MinLength(1)] string Text,
    [property: MinLength(1), MaxLength(IncomingFrame.MaxClientMessageIdLength), Description("Makes it safe to repeat.")]
    string? ClientMessageId = null);

internal sealed record AckBody([property: MaxLength(IncomingFrame.MaxAckIds)] IReadOnlyList<long> Ids);

internal sealed record HealthBody(string Status);

internal sealed record PresenceBody(string User, bool Online);

// The shapes of frames, each after its type. FrameWriter writes them without these records. The other frames have the shapes of bodies:
// a message is a MessageBody, a send a SendBody, an ack an AckBody.

internal sealed record ConnectedFrame(
    [property: RegularExpression(UserId.Pattern), Description("Whom the server takes the client for.")] string User,
    [property: Description("The largest message that the server takes, in bytes.")] int MaxMessageBytes);

internal sealed record SentFrame(
    [property: Range(1d, IncomingFrame.MaxId)] long Id,
    [property: RegularExpression(UserId.Pattern)] string To,
    [property: RegularExpression(FrameWriter.TimePattern)] string SentAt,
    [property: MinLength(1), Description("The sender's own name for it, if it gave one.")] string? ClientMessageId = null);

internal sealed record DeliveredFrame(
    [property: Range(1d, IncomingFrame.MaxId)] long Id,
    [property: RegularExpression(UserId.Pattern)] string To);

internal sealed record ErrorFrame(
    [property: AllowedValues(
        "invalid_json", "unknown_type", "invalid_recipient", "invalid_text", "invalid_client_message_id", "client_message_id_reused",
        "invalid_ack", "rate_limited", "storage_unavailable"),
        Description("For programs.")] string Code,
    [property: MinLength(1), Description("For people: what was wrong, and what to do.")] string Message,
    [property: MinLength(1), Description("The name that the refused message had, if it could be read.")] string? ClientMessageId = null);

/// <summary>The shape of <c>ping</c> and <c>pong</c>.</summary>
internal sealed record EmptyFrame;

/// <summary>The small answers that go over HTTP, with writers generated at compile time.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(PresenceBody))]
[JsonSerializable(typeof(HealthBody))]
internal sealed partial class ChatJson : JsonSerializerContext
{
    /// <summary>
    /// The wire's context: UTF-8 as it is, instead of \u escapes for all that is not ASCII. No frame is ever pasted into HTML by the
    /// server.
    /// </summary>
    public static ChatJson Wire =>
        field ??= new(new JsonSerializerOptions(Default.Options) { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
}
