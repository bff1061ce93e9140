using System.ComponentModel;
using System.ComponentModel.DataAnnotations;

namespace SimpleChat.Wire;

// What FrameWriter writes without them, each after its type; the description of the wire is made of them. The other frames have the
// shapes of bodies: a message is a MessageBody, a send a SendBody, an ack an AckBody.

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
