namespace SimpleChat;

/// <summary>A message on its way into the database, and whoever waits to hear that it is there.</summary>
/// <param name="chat">The rules.</param>
/// <param name="share">What its sender may have of the server.</param>
/// <param name="draft">What was sent.</param>
/// <param name="acceptedAt">When, in milliseconds since 1970-01-01 UTC.</param>
internal abstract class PendingSend(ChatService chat, UserShare share, Draft draft, long acceptedAt) : PendingWrite
{
    /// <summary>Bytes of text that take as long as one row operation.</summary>
    private const int TextPerOperation = 1024;

    private int _answered;

    public override UserShare Share => share;

    /// <summary>Two rows, their index entries later, and the text.</summary>
    public override int Cost => 2 + draft.Text.Length / TextPerOperation;

    /// <summary>What was sent.</summary>
    public Draft Draft => draft;

    /// <summary>When it was accepted, in milliseconds since 1970-01-01 UTC.</summary>
    public long AcceptedAt => acceptedAt;

    /// <summary>The stored message; null until then.</summary>
    public Message? Message { get; set; }

    /// <summary>Whether <see cref="Message"/> was there already.</summary>
    public bool IsRepeat { get; set; }

    /// <summary>Whether the clientMessageId was already another message's.</summary>
    public bool IsReused => IsRepeat && (Message!.To != draft.To || !Message.Text.AsSpan().SequenceEqual(draft.Text));

    /// <summary>The connection it came over; null if it was none.</summary>
    public virtual Connection? Origin => null;

    /// <summary>Stores it, unless its sender was told meanwhile that it is not known to be stored.</summary>
    public override void Write(MessageTransaction transaction)
    {
        Message = null;
        if (Volatile.Read(ref _answered) == 0)
            ChatService.Store(this, transaction);
    }

    public override void Committed()
    {
        if (Message is not null)
            chat.Stored(this);
    }

    public override void Refused() => Answer(ChatError.StorageUnavailable);

    /// <summary>Tells the sender: stored (null), or why not. The first answer counts, a later one goes nowhere.</summary>
    public void Answer(ChatError? error)
    {
        if (Interlocked.Exchange(ref _answered, 1) == 0)
            Reply(error);
    }

    /// <summary>Brings the one answer to the sender. Must not wait.</summary>
    protected abstract void Reply(ChatError? error);
}

/// <summary>A message that came over a WebSocket: answered with a <c>sent</c> or an <c>error</c> frame.</summary>
/// <param name="chat">The rules.</param>
/// <param name="connection">The connection it came over.</param>
/// <param name="turn">When it is answered: see <see cref="Connection.TryBeginAnswer"/>.</param>
/// <param name="draft">What was sent.</param>
/// <param name="acceptedAt">When, in milliseconds since 1970-01-01 UTC.</param>
internal sealed class FrameSend(ChatService chat, Connection connection, int turn, Draft draft, long acceptedAt)
    : PendingSend(chat, connection.Share, draft, acceptedAt)
{
    public override Connection Origin => connection;

    protected override void Reply(ChatError? error) => connection.Answer(turn,
        error is null ? FrameAnswer.Sent(Message!, Draft.ClientMessageId) : FrameAnswer.Refused(error, Draft.ClientMessageId));
}

/// <summary>A message that came in a request: <see cref="Stored"/> answers it.</summary>
/// <param name="chat">The rules.</param>
/// <param name="share">What its sender may have of the server.</param>
/// <param name="draft">What was sent.</param>
/// <param name="acceptedAt">When, in milliseconds since 1970-01-01 UTC.</param>
internal sealed class RequestSend(ChatService chat, UserShare share, Draft draft, long acceptedAt) : PendingSend(chat, share, draft, acceptedAt)
{
    private readonly TaskCompletionSource<ChatError?> _reply = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Completes with null when the message is stored, or with the refusal.</summary>
    public Task<ChatError?> Stored => _reply.Task;

    protected override void Reply(ChatError? error) => _reply.SetResult(error);
}
