namespace SimpleChat;

/// <summary>A message as a sender hands it over: checked, not yet stored.</summary>
/// <param name="From">The sender's user id.</param>
/// <param name="To">The recipient's user id.</param>
/// <param name="Text">The text, never empty: valid UTF-8, unescaped. It stays that from the socket to the disk and to the next socket.</param>
/// <param name="ClientMessageId">The sender's own name for it, which makes a send safe to repeat; null if none was given.</param>
internal readonly record struct Draft(string From, string To, byte[] Text, string? ClientMessageId);

/// <summary>A stored message: a row of MessageDB, and what is pushed to whoever it concerns.</summary>
/// <param name="Id">Positive, below 2^53; rises in commit order.</param>
/// <param name="From">The sender's user id.</param>
/// <param name="To">The recipient's user id.</param>
/// <param name="Text">What was sent, code point for code point: UTF-8.</param>
/// <param name="SentAt">Milliseconds since 1970-01-01 UTC; never falls as <paramref name="Id"/> rises.</param>
internal sealed record Message(long Id, string From, string To, byte[] Text, long SentAt);

/// <summary>The answer to a client's frame: its message is stored, or the error says why not. Neither: it was a ping. Small, because many may wait.</summary>
/// <param name="Id">The stored message's id; 0 without one.</param>
/// <param name="To">Its recipient.</param>
/// <param name="SentAt">Its time.</param>
/// <param name="Error">What was wrong; null if nothing was.</param>
/// <param name="ClientMessageId">The sender's own name for the message, if it gave one.</param>
internal readonly record struct FrameAnswer(long Id, string To, long SentAt, ChatError? Error, string? ClientMessageId)
{
    public static readonly FrameAnswer Pong = new(0, "", 0, null, null);

    public static FrameAnswer Sent(Message message, string? clientMessageId) => new(message.Id, message.To, message.SentAt, null, clientMessageId);

    public static FrameAnswer Refused(ChatError error, string? clientMessageId) => new(0, "", 0, error, clientMessageId);
}

/// <summary>A receipt: the message left the inbox of the one it was sent to.</summary>
/// <param name="Id">The message's id.</param>
/// <param name="From">Its sender, who is told.</param>
/// <param name="To">Its recipient, who has it.</param>
internal readonly record struct Receipt(long Id, string From, string To);
