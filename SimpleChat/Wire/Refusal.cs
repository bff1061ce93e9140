namespace SimpleChat.Wire;

/// <summary>A refusal: what an <c>error</c> frame says over WebSocket and a ProblemDetails body over HTTP.</summary>
/// <param name="Code">The contract's word for it, for programs; null where it has none, which is over HTTP only.</param>
/// <param name="Message">What was wrong and what to do, for people.</param>
/// <param name="Status">The HTTP status code (RFC 9110): 4xx is the caller's fault, 503 the server's.</param>
internal sealed record Refusal(string? Code, string Message, int Status = StatusCodes.Status400BadRequest)
{
    /// <summary>The word for it in the log and the metrics (see <c>RefusalLog</c>); out of a fixed list, and never on the wire.</summary>
    public string Reason
    {
        get => field ?? Code ?? Status switch
        {
            StatusCodes.Status401Unauthorized => "no_identity",
            StatusCodes.Status405MethodNotAllowed => "method_not_allowed",
            StatusCodes.Status408RequestTimeout => "too_slow",
            StatusCodes.Status413PayloadTooLarge => "too_big",
            StatusCodes.Status415UnsupportedMediaType => "not_json",
            StatusCodes.Status426UpgradeRequired => "no_upgrade",
            StatusCodes.Status429TooManyRequests => "too_many_requests",
            StatusCodes.Status503ServiceUnavailable => "unavailable",
            _ => "bad_request",
        };
        init;
    }

    public static readonly Refusal InvalidJson = new("invalid_json",
        """Expected one JSON object, like {"to":"bob","text":"hi"}.""");
    public static readonly Refusal UnknownType = new("unknown_type",
        "\"type\" must be \"send\", \"ack\" or \"ping\"; left out, it is \"send\".");
    public static readonly Refusal InvalidRecipient = new("invalid_recipient",
        $"\"to\" must be a user id: 1 to {UserId.MaxLength} characters out of {UserId.Characters}.");
    public static readonly Refusal InvalidText = new("invalid_text",
        "\"text\" must be a non-empty string without lone surrogates.");
    public static readonly Refusal InvalidClientMessageId = new("invalid_client_message_id",
        $"\"clientMessageId\" must be a string of 1 to {IncomingFrame.MaxClientMessageIdLength} characters, or be left out.");
    public static readonly Refusal ClientMessageIdReused = new("client_message_id_reused",
        "This clientMessageId names an earlier message with another \"to\" or \"text\"; choose a new one for a new message.",
        StatusCodes.Status409Conflict);
    public static readonly Refusal InvalidAck = new("invalid_ack",
        $"\"ids\" must be an array of at most {IncomingFrame.MaxAckIds} message ids, like {{\"type\":\"ack\",\"ids\":[41,42]}}.");
    public static readonly Refusal UnknownPosition = new("unknown_position",
        "The database has no such message of yours: it is another one, or the message was erased. " +
        "Reload the history and connect without a position.",
        StatusCodes.Status409Conflict);
    public static readonly Refusal RateLimited = new("rate_limited",
        "Too many messages at once; nothing was stored. Wait a moment and repeat it.", StatusCodes.Status429TooManyRequests);
    public static readonly Refusal StorageUnavailable = new("storage_unavailable",
        "Not known to be stored. Repeat it with the same clientMessageId.", StatusCodes.Status503ServiceUnavailable);

    public static readonly Refusal StorageUnreadable =
        StorageUnavailable with { Message = "Storage cannot be read just now. Try again in a moment." };
    public static readonly Refusal InvalidPosition = new(null,
        "A position (\"after\", on a stream Last-Event-ID) is the id of a message, better with its sentAt, " +
        "like 41@2026-11-24T11:02:03.123Z; 0 is the very beginning.");
    public static readonly Refusal TooManyConnections = new(null,
        "You have as many connections open as one user may have (Chat:ConnectionsPerUser). Close one first.",
        StatusCodes.Status429TooManyRequests)
    { Reason = "too_many_connections" };
    public static readonly Refusal TooManyRequests = new(null,
        "You have as many requests under way as one user may have (Chat:RequestsPerUser). Wait for one of them first.",
        StatusCodes.Status429TooManyRequests)
    { Reason = "too_many_requests" };
    public static readonly Refusal ServerFull = new(null,
        "The server has as many connections open as it may have (Chat:MaxConnections). Try again in a moment.",
        StatusCodes.Status503ServiceUnavailable)
    { Reason = "server_full" };
    public static readonly Refusal ServerStopping = new(null,
        "The server is shutting down. Try again in a moment.", StatusCodes.Status503ServiceUnavailable)
    { Reason = "server_stopping" };
}
