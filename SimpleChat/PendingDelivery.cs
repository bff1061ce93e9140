namespace SimpleChat;

/// <summary>Inbox rows on their way out, because their messages are delivered.</summary>
internal abstract class PendingDelivery(ChatService chat) : PendingWrite
{
    /// <summary>The rules.</summary>
    protected ChatService Chat => chat;

    /// <summary>What left the inbox in this transaction.</summary>
    protected List<Receipt> Receipts => field ??= [];

    public override void Write(MessageTransaction transaction)
    {
        Receipts.Clear();
        Remove(transaction);
    }

    public override void Committed() => chat.Delivered(Receipts);

    /// <summary>Deletes the rows.</summary>
    protected abstract void Remove(MessageTransaction transaction);
}

/// <summary>The user said by id what it has: an <c>ack</c> frame, or <c>POST /inbox/ack</c>.</summary>
/// <param name="chat">The rules.</param>
/// <param name="user">Whose inbox.</param>
/// <param name="ids">The messages; ids that are not in it are passed over.</param>
/// <param name="reply">Called once: with null when they are out of the inbox, or with the refusal. Must not wait.</param>
internal sealed class PendingAck(ChatService chat, string user, IReadOnlyList<long> ids, Action<ChatError?> reply) : PendingDelivery(chat)
{
    private int _answered;

    public override int Size => sizeof(long) * ids.Count;

    public override void Committed()
    {
        base.Committed();
        Answer(null);
    }

    public override void Refused() => Answer(ChatError.StorageUnavailable);

    protected override void Remove(MessageTransaction transaction)
    {
        foreach (var id in ids)
            transaction.Remove(user, id, Receipts);
    }

    private void Answer(ChatError? error)
    {
        if (Interlocked.Exchange(ref _answered, 1) == 0)
            reply(error);
    }
}

/// <summary>
/// What went over a connection on which writing counts as delivering (<c>chat</c>). One per connection, handed in again and again, so that it takes
/// one place in the writer's queue at most. Ids only rise there and leave no hole, so one range says it all.
/// </summary>
/// <param name="chat">The rules.</param>
/// <param name="connection">The connection.</param>
/// <param name="start">What was at or below this id did not go over it.</param>
internal sealed class PendingPassed(ChatService chat, Connection connection, long start) : PendingDelivery(chat)
{
    private long _written = start; // the drain moves it
    private long _removing, _removed = start; // the writer's thread
    private int _queued;

    public override bool IsPatient => true;

    /// <summary>Everything up to <paramref name="id"/> was written to the socket.</summary>
    public void UpTo(long id)
    {
        Volatile.Write(ref _written, id);
        if (Interlocked.Exchange(ref _queued, 1) == 0)
            Chat.Passed(this);
    }

    public override void Write(MessageTransaction transaction)
    {
        Volatile.Write(ref _queued, 0); // from here on the drain queues it anew
        Interlocked.MemoryBarrier();
        base.Write(transaction);
    }

    public override void Committed()
    {
        _removed = _removing;
        base.Committed();
    }

    /// <summary>
    /// Tried again, for as long as the connection is open; after that the messages are still in the inbox and come once more.
    /// It may stand in the queue already.
    /// </summary>
    public override void Refused()
    {
        if (connection.Ending is null && Interlocked.Exchange(ref _queued, 1) == 0)
            Chat.Passed(this);
    }

    protected override void Remove(MessageTransaction transaction)
    {
        _removing = Volatile.Read(ref _written);
        transaction.RemoveRange(connection.User, _removed, _removing, Receipts);
    }
}
