using SimpleChat.Limits;
using SimpleChat.Monitoring;
using SimpleChat.Storage;
using SimpleChat.Wire;

namespace SimpleChat;

/// <summary>
/// A message on its way from alice to bob, steps 1 and 2 of five. The writer calls <see cref="Apply"/> within its transaction, and again if
/// it repeats the transaction. Then it calls <see cref="Committed"/>, or <see cref="Unconfirmed"/> if it does not know whether the message
/// is on disk. On a slow disk it may call both, that one first. The <see cref="LocalAudience"/> takes steps 3 and 4, a
/// <see cref="Delivery"/> step 5.
/// </summary>
/// <param name="origin">The connection it came over; null if it came in a request of its own.</param>
internal sealed class Send(Chat chat, UserShare sender, Draft draft, IReply reply, Connection? origin = null) : Write
{
    private readonly PendingMessage _pending = new(draft);

    public override UserShare Share => sender;

    public override int Cost => 2 + draft.Text.Length / 1024; // two rows; each KiB of text costs as much as one more

    /// <summary>Whether the sender had sent this message before, under the same clientMessageId.</summary>
    public bool IsRepeat => _pending.IsRepeat;

    // ── 1. Received: alice's message has come in. The writer gets it; if she sends too many, she gets rate_limited.

    /// <summary>Hands the message to the writer. The reply comes later.</summary>
    public async ValueTask ReceivedAsync()
    {
        if (await sender.TakeMessageAsync())
        {
            sender.Charge(Work.Store(draft.Text.Length));
            await chat.Writer.EnqueueAsync(this);
            return;
        }

        Answer(Refusal.RateLimited);
    }

    // ── 2. Stored: the MessageDB row and the InboxDB row, in one transaction. If alice repeats a message, the stored one is found.

    public override void Apply(ITransaction db)
    {
        _pending.Reset();
        if (!IsAnswered) // if alice was told storage_unavailable, it is not stored any more
            db.Store(_pending);
    }

    public override void Committed()
    {
        var message = _pending.Message; // null: not stored, because alice was answered before
        var isSame = message?.To == draft.To && message.Text.AsSpan().SequenceEqual(draft.Text);
        Answer(message is null ? Refusal.StorageUnavailable : isSame ? null : Refusal.ClientMessageIdReused);
        if (message is null || IsRepeat)
            return;
        chat.Metrics.Stored();
        chat.Audience.Push(message, origin); // steps 3 and 4
    }

    public override void Unconfirmed() => Answer(Refusal.StorageUnavailable);

    public override void Trace(CommitTrace commit) => commit.Message(IsRepeat ? 0 : _pending.Message?.Id ?? 0, Since);

    private void Answer(Refusal? refusal)
    {
        if (!TryAnswer())
            return;
        if (refusal is null)
            reply.Done(_pending.Message);
        else
            reply.Refused(refusal);
    }
}

/// <summary>The audience of a single server: everybody who is there is in the map.</summary>
internal sealed class LocalAudience(Connections map, Func<long> committed) : IAudience
{
    // ── 3. Looked up: the map has bob's connections. 4. Pushed: each is offered the message. The InboxDB row stays until step 5.

    public void Push(Message message, Connection? origin)
    {
        foreach (var connection in map.Of(message.To))
            connection.Offer(message);
        if (message.From == message.To) // she wrote to herself: all her connections have it
            return;
        foreach (var connection in map.Of(message.From)) // her other connections are shown what she sent
        {
            if (connection == origin)
                connection.Skip(message.Id);
            else
                connection.Offer(message);
        }
    }

    public void Tell(Receipt receipt)
    {
        foreach (var connection in map.Of(receipt.From))
            connection.Tell(receipt);
    }

    public long Committed => committed();

    public ValueTask<Refusal?> TryAddAsync(Connection connection) => ValueTask.FromResult(map.TryAdd(connection));

    public void Remove(Connection connection) => map.Remove(connection);

    public ValueTask<bool?> IsOnlineAsync(string user) => ValueTask.FromResult<bool?>(map.Of(user).Any(one => one.IsAttended));

    public void Recover()
    {
        foreach (var connection in map.All)
            connection.FallBehind(Committed);
    }
}

/// <summary>
/// 5. Delivered: bob has received messages. He said so (<c>ack</c>), or on subprotocol <c>chat</c> they were written to his socket.
/// Their InboxDB rows go, and whoever sent them is told.
/// </summary>
/// <param name="ranges">The messages' ids. Those that are not in his inbox are passed over.</param>
/// <param name="count">An upper bound on how many messages that is.</param>
internal sealed class Delivery(Chat chat, UserShare recipient, IReadOnlyList<IdRange> ranges, int count, IReply reply) : Write
{
    private readonly List<Receipt> _receipts = [];

    public override UserShare Share => recipient;

    public override int Cost => 1 + count;

    public override void Apply(ITransaction db)
    {
        _receipts.Clear();
        foreach (var range in ranges)
            db.Remove(recipient.User, range, _receipts);
    }

    public override void Committed()
    {
        Tell();
        if (TryAnswer())
            reply.Done(null);
    }

    public override void Unconfirmed()
    {
        if (TryAnswer())
            reply.Refused(Refusal.StorageUnavailable);
    }

    /// <summary>Called after a commit of unknown outcome. Rows that are gone were delivered: their senders are told.</summary>
    public override void Recover(ITransaction db)
    {
        _receipts.RemoveAll(receipt => db.IsInInbox(receipt.To, receipt.Id));
        Tell();
    }

    public override void Trace(CommitTrace commit) => commit.Delivered(_receipts.Select(receipt => receipt.Id), Since);

    private void Tell()
    {
        chat.Metrics.Delivered(_receipts.Count);
        _receipts.ForEach(chat.Audience.Tell);
    }
}
