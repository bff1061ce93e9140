namespace SimpleChat.Wire;

/// <summary>
/// The answer to a client's frame: <c>sent</c>, <c>error</c> or <c>pong</c>. Many may wait, so it is small and keeps no text.
/// </summary>
/// <param name="Id">The stored message's id; 0 without one.</param>
/// <param name="Refusal">Why it was not done; null if it was.</param>
internal readonly record struct FrameAnswer(long Id, string To, long SentAt, Refusal? Refusal, string? ClientMessageId)
{
    public static readonly FrameAnswer Pong = new(Id: 0, To: "", SentAt: 0, Refusal: null, ClientMessageId: null);

    public static FrameAnswer Sent(Message message, string? clientMessageId) =>
        new(message.Id, message.To, message.SentAt, Refusal: null, clientMessageId);

    public static FrameAnswer Refused(Refusal refusal, string? clientMessageId) => new(Id: 0, To: "", SentAt: 0, refusal, clientMessageId);
}
