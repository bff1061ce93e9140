using SimpleChat.Limits;
using SimpleChat.Monitoring;
using SimpleChat.Storage;
using SimpleChat.Wire;

namespace SimpleChat;

/// <summary>
/// A message on its way from alice to bob: steps 1 to 4 of five, in order. The writer calls <see cref="Store"/> within its transaction,
/// again if that has to be repeated. Then it calls <see cref="Stored"/> after the commit, or <see cref="Refused"/> if the message is not
/// known to be stored. Step 5 is <see cref="Delivery"/>.
/// </summary>
/// <param name="chat">The chat.</param>
/// <param name="sender">The sender's share of the server.</param>
/// <param name="draft">What was sent.</param>
/// <param name="receivedAt">When, in milliseconds since 1970-01-01 UTC.</param>
/// <param name="reply">Tells the sender the outcome.</param>
/// <param name="origin">The connection it came over; null if it came in a request of its own.</param>
internal sealed class Send(Chat chat, UserShare sender, Draft draft, long receivedAt, IReply reply, Connection? origin = null) : Write
{
    private Message? _message;

    public override UserShare Share => sender;

    public override int Cost => 2 + draft.Text.Length / 1024; // two rows, and one for each KiB of text, which takes as long

    /// <summary>Whether the sender had sent this message before, under the same clientMessageId.</summary>
    public bool IsRepeat { get; private set; }

    // ── 1. Received: alice's message has come in. It waits for the writer, unless she sends too many.

    /// <summary>Hands the message to the writer. The reply comes later.</summary>
    public ValueTask ReceivedAsync()
    {
        if (sender.TakeMessage())
        {
            sender.Charge(Work.Store(draft.Text.Length));
            return chat.Writer.EnqueueAsync(this);
        }

        Answer(Refusal.RateLimited);
        return ValueTask.CompletedTask;
    }

    // ── 2. Stored: the MessageDB row and the InboxDB row, in one transaction. For a repeat, the message that is there.

    public override void Store(Transaction db)
    {
        _message = null;
        if (IsAnswered)
            return; // alice was told already that it is not known to be stored
        var existing = draft.ClientMessageId is { } name ? db.Find(draft.From, name) : null;
        IsRepeat = existing is not null;
        _message = existing ?? db.Insert(draft, receivedAt);
    }

    public override void Stored()
    {
        if (_message is null)
            return;
        var isSame = _message.To == draft.To && _message.Text.AsSpan().SequenceEqual(draft.Text);
        Answer(isSame ? null : Refusal.ClientMessageIdReused);
        if (IsRepeat)
            return;
        chat.Metrics.Stored();
        Push(_message);
    }

    public override void Refused() => Answer(Refusal.StorageUnavailable);

    public override void Trace(CommitTrace commit) => commit.Message(IsRepeat ? 0 : _message?.Id ?? 0, Since);

    // ── 3. Looked up: the map has bob's connections. 4. Pushed: each is offered the message. If he is away, it waits in InboxDB.

    private void Push(Message message)
    {
        foreach (var connection in chat.Connections.Of(message.To))
            connection.Offer(message);
        if (message.From == message.To)
            return;
        foreach (var connection in chat.Connections.Of(message.From)) // her other connections are shown what she sent
        {
            if (connection == origin)
                connection.Skip(message.Id);
            else
                connection.Offer(message);
        }
    }

    private void Answer(Refusal? refusal)
    {
        if (!TryAnswer())
            return;
        if (refusal is null)
            reply.Done(_message);
        else
            reply.Refused(refusal);
    }
}

/// <summary>
/// 5. Delivered: bob has received messages. He said so (<c>ack</c>), or on subprotocol <c>chat</c> they were written to his socket.
/// Their InboxDB rows go, and whoever sent them is told.
/// </summary>
/// <param name="chat">The chat.</param>
/// <param name="recipient">Bob's share of the server. It is his inbox.</param>
/// <param name="ranges">The messages' ids. Those that are not in his inbox are passed over.</param>
/// <param name="count">An upper bound on how many messages that is.</param>
/// <param name="reply">Hears when the rows are gone.</param>
internal sealed class Delivery(Chat chat, UserShare recipient, IReadOnlyList<IdRange> ranges, int count, IReply reply) : Write
{
    private readonly List<Receipt> _receipts = [];

    public override UserShare Share => recipient;

    public override int Cost => 1 + count;

    public override void Store(Transaction db)
    {
        _receipts.Clear();
        foreach (var range in ranges)
            db.Remove(recipient.User, range, _receipts);
    }

    public override void Stored()
    {
        Tell();
        if (TryAnswer())
            reply.Done(null);
    }

    public override void Refused()
    {
        if (TryAnswer())
            reply.Refused(Refusal.StorageUnavailable);
    }

    /// <summary>The commit seemed to fail, and may have succeeded: rows that are gone from the inbox were delivered.</summary>
    public override void Recover(Transaction db)
    {
        _receipts.RemoveAll(receipt => db.IsInInbox(receipt.To, receipt.Id));
        Tell();
    }

    public override void Trace(CommitTrace commit) => commit.Delivered(_receipts.Select(receipt => receipt.Id), Since);

    private void Tell()
    {
        chat.Metrics.Delivered(_receipts.Count);
        foreach (var receipt in _receipts)
        {
            foreach (var connection in chat.Connections.Of(receipt.From))
                connection.Tell(receipt);
        }
    }
}
