namespace SimpleChat;

/// <summary>A message as its sender hands it over: checked, not yet stored.</summary>
/// <param name="Text">The text, never empty: UTF-8, without JSON's escapes.</param>
/// <param name="ClientMessageId">The sender's own name for it, which makes a send safe to repeat; null if none was given.</param>
/// <param name="ReceivedAt">When it came in, in milliseconds since 1970-01-01 UTC.</param>
internal readonly record struct Draft(string From, string To, byte[] Text, string? ClientMessageId, long ReceivedAt);

/// <summary>A stored message: a row of MessageDB.</summary>
/// <param name="Id">Positive, below 2^53; rises in commit order.</param>
/// <param name="Text">What was sent, code point for code point: UTF-8.</param>
/// <param name="SentAt">Milliseconds since 1970-01-01 UTC; never falls as <paramref name="Id"/> rises.</param>
internal sealed record Message(long Id, string From, string To, byte[] Text, long SentAt);

/// <summary>Says that a message has left its recipient's inbox. It goes to the sender.</summary>
internal readonly record struct Receipt(long Id, string From, string To);
