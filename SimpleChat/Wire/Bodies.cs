using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace SimpleChat.Wire;

// The shapes of messages and pages, for the description of the API. FrameWriter writes them without these records.

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
