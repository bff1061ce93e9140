namespace SimpleChat;

/// <summary>Inbox rows on their way out, because their messages are delivered.</summary>
/// <param name="chat">The rules.</param>
/// <param name="share">What the inbox's owner may have of the server.</param>
internal abstract class PendingDelivery(ChatService chat, UserShare share) : PendingWrite
{
    private List<Receipt>? _receipts;

    public override UserShare Share => share;

    public override IReadOnlyList<Receipt> Receipts => _receipts ?? [];

    public override void Write(MessageTransaction transaction)
    {
        (_receipts ??= []).Clear();
        Remove(transaction, _receipts);
    }

    public override void Committed() => chat.Delivered(_receipts!);

    /// <summary>Deletes the rows, and says which they were.</summary>
    protected abstract void Remove(MessageTransaction transaction, List<Receipt> receipts);
}

/// <summary>The user said by id what it has: an <c>ack</c> frame, or <c>POST /inbox/ack</c>.</summary>
/// <param name="chat">The rules.</param>
/// <param name="share">Whose inbox.</param>
/// <param name="ids">The messages; ids that are not in it are passed over.</param>
/// <param name="reply">Called once: with null when they are out of the inbox, or with the refusal. Must not wait.</param>
internal sealed class PendingAck(ChatService chat, UserShare share, IReadOnlyList<long> ids, Action<ChatError?> reply) : PendingDelivery(chat, share)
{
    private int _answered;

    public override int Cost => 1 + ids.Count;

    public override void Committed()
    {
        base.Committed();
        Answer(null);
    }

    public override void Refused() => Answer(ChatError.StorageUnavailable);

    protected override void Remove(MessageTransaction transaction, List<Receipt> receipts)
    {
        foreach (var id in ids)
            transaction.Remove(Share.User, id, receipts);
    }

    private void Answer(ChatError? error)
    {
        if (Interlocked.Exchange(ref _answered, 1) == 0)
            reply(error);
    }
}

/// <summary>Messages that were written to the socket of a connection on which that counts as delivering. Ids only rise there, and leave no hole: a range says it all.</summary>
/// <param name="chat">The rules.</param>
/// <param name="passed">Who hands it in.</param>
/// <param name="share">Whose inbox.</param>
/// <param name="after">Above this id.</param>
/// <param name="upTo">Up to this id.</param>
/// <param name="count">How many messages that are, about.</param>
internal sealed class PendingPassed(ChatService chat, PassedMessages passed, UserShare share, long after, long upTo, int count) : PendingDelivery(chat, share)
{
    public override int Cost => 1 + count;

    public override void Committed()
    {
        base.Committed();
        passed.Settled(upTo);
    }

    public override void Refused() => _ = passed.RetryAsync();

    protected override void Remove(MessageTransaction transaction, List<Receipt> receipts) => transaction.RemoveRange(Share.User, after, upTo, receipts);
}

/// <summary>
/// What went over one connection on which writing counts as delivering (<c>chat</c>). It hands in one delivery, and no other before that one was answered:
/// a fast reader's deliveries gather meanwhile, and take one place in the writer's queue.
/// </summary>
/// <param name="chat">The rules.</param>
/// <param name="connection">The connection, just joined: what is at or below its position did not go over it.</param>
/// <param name="time">The clock.</param>
internal sealed class PassedMessages(ChatService chat, Connection connection, TimeProvider time)
{
    /// <summary>After a refusal storage is left alone for so long.</summary>
    private static readonly TimeSpan RetryPause = TimeSpan.FromMilliseconds(500);

    private readonly Lock _gate = new();

    // Under _gate.
    private long _settled = connection.Position, _written;
    private int _count;
    private bool _isUnderWay;

    /// <summary>Everything up to <paramref name="id"/> was written to the socket: <paramref name="count"/> messages more.</summary>
    public void UpTo(long id, int count)
    {
        lock (_gate)
        {
            (_written, _count) = (id, _count + count);
            if (_isUnderWay)
                return;
            _isUnderWay = true;
        }

        HandIn();
    }

    /// <summary>What went over it up to <paramref name="id"/> is out of the inbox, durably.</summary>
    public void Settled(long id)
    {
        lock (_gate)
        {
            _settled = Math.Max(_settled, id);
            _isUnderWay = _written > _settled;
            if (!_isUnderWay)
                return;
        }

        HandIn();
    }

    /// <summary>Tries again, for as long as the connection is open; after that the messages are still in the inbox and come once more.</summary>
    public async Task RetryAsync()
    {
        await Task.Delay(RetryPause, time);
        if (connection.Ending is null)
            HandIn();
    }

    private void HandIn()
    {
        PendingPassed delivery;
        lock (_gate)
        {
            delivery = new PendingPassed(chat, this, connection.Share, _settled, _written, _count);
            _count = 0;
        }

        _ = chat.DeliverAsync(delivery).AsTask();
    }
}
