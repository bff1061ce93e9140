namespace SimpleChat;

/// <summary>A message as a sender hands it over: checked, not yet stored.</summary>
/// <param name="From">The sender's user id.</param>
/// <param name="To">The recipient's user id.</param>
/// <param name="Text">The text, never empty, without lone surrogates.</param>
/// <param name="ClientMessageId">The sender's own name for it, which makes a send safe to repeat; null if none was given.</param>
internal sealed record Draft(string From, string To, string Text, string? ClientMessageId);

/// <summary>A stored message: a row of MessageDB, and what is pushed to whoever it concerns.</summary>
/// <param name="Id">Positive, below 2^53; rises in commit order.</param>
/// <param name="From">The sender's user id.</param>
/// <param name="To">The recipient's user id.</param>
/// <param name="Text">What was sent, code point for code point.</param>
/// <param name="SentAt">Milliseconds since 1970-01-01 UTC; never falls as <paramref name="Id"/> rises.</param>
internal sealed record Message(long Id, string From, string To, string Text, long SentAt)
{
    /// <summary>The message as a WebSocket frame's text: serialised once, whoever receives it. A race computes the same bytes twice, no more.</summary>
    public byte[] Frame => field ??= Frames.Message(this);
}

/// <summary>A receipt: the message left the inbox of the one it was sent to.</summary>
/// <param name="Id">The message's id.</param>
/// <param name="From">Its sender, who is told.</param>
/// <param name="To">Its recipient, who has it.</param>
internal readonly record struct Receipt(long Id, string From, string To);
