using SimpleChat.Limits;
using SimpleChat.Monitoring;
using SimpleChat.Queues;
using SimpleChat.Storage;
using SimpleChat.Wire;

namespace SimpleChat;

/// <summary>
/// A message on its way from alice to bob: steps 1 to 4 of five, in order. The writer calls <see cref="Store"/> within its
/// transaction and <see cref="Stored"/> after the commit. Step 5 is <see cref="Delivery"/>.
/// </summary>
/// <param name="chat">The chat.</param>
/// <param name="sender">What its sender may use of the server.</param>
/// <param name="draft">What was sent.</param>
/// <param name="receivedAt">When, in milliseconds since 1970-01-01 UTC.</param>
/// <param name="reply">Tells the sender what became of it.</param>
/// <param name="origin">The connection it came over; null if it came in a request of its own.</param>
internal sealed class Send(Chat chat, UserShare sender, Draft draft, long receivedAt, IReply reply, Connection? origin = null) : Write
{
    /// <summary>Bytes of text that take as long to write as a row.</summary>
    private const int TextPerRow = 1024;

    private Message? _message;

    public override UserShare Share => sender;

    public override int Cost => 2 + draft.Text.Length / TextPerRow;

    /// <summary>Whether the sender had sent this message before, under the same clientMessageId.</summary>
    public bool IsRepeat { get; private set; }

    // ── 1. Received: alice's message has come in. It waits for the writer, unless she sends too many. ───────────────────

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

    // ── 2. Stored: the MessageDB row and the InboxDB row, in one transaction. A repeat is the message that is there. ────

    public override void Store(Transaction db)
    {
        _message = null;
        if (IsAnswered)
            return; // alice was told that it is not known to be stored
        var first = draft.ClientMessageId is { } repeated ? db.Find(draft.From, repeated) : null;
        IsRepeat = first is not null;
        _message = first ?? db.Insert(draft, receivedAt);
    }

    public override void Stored()
    {
        if (_message is null)
            return;
        Answer(IsRepeat && IsAnother(_message) ? Refusal.ClientMessageIdReused : null);
        if (IsRepeat)
            return;
        chat.Metrics.Stored();
        Push(_message);
    }

    public override void Refused() => Answer(Refusal.StorageUnavailable);

    // ── 3. Looked up: the map says who bob is. 4. Pushed: each of his connections is offered the message. ───────────────
    // ── Away, it waits in InboxDB. Alice's other connections are shown what she sent. ───────────────────────────────────

    private void Push(Message message)
    {
        foreach (var connection in chat.Connections.Of(message.To))
            connection.Offer(message);
        if (message.From == message.To)
            return;
        foreach (var connection in chat.Connections.Of(message.From))
        {
            if (connection == origin)
                connection.Skip(message.Id);
            else
                connection.Offer(message);
        }
    }

    private bool IsAnother(Message first) => first.To != draft.To || !first.Text.AsSpan().SequenceEqual(draft.Text);

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
/// 5. Delivered: bob has messages. He said so (<c>ack</c>), or on subprotocol <c>chat</c> they were written to his socket.
/// Their InboxDB rows go, and whoever sent them is told.
/// </summary>
/// <param name="chat">The chat.</param>
/// <param name="recipient">What bob may use of the server. It is his inbox.</param>
/// <param name="ranges">The messages' ids. Those that are not in his inbox are passed over.</param>
/// <param name="count">How many messages that are, at most.</param>
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

    /// <summary>The commit seemed to fail: what is gone from the inbox all the same was delivered.</summary>
    public override void Recover(Transaction db)
    {
        _receipts.RemoveAll(receipt => db.IsInInbox(receipt.To, receipt.Id));
        Tell();
    }

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

/// <summary>Who is there: how a connection joins and leaves, and what a new one still has to read.</summary>
internal sealed class Chat
{
    private readonly MessageReader _reader;
    private readonly PageRoom _room;
    private readonly TimeProvider _time;
    private readonly ILogger<Drain> _log;
    private volatile bool _stopping;

    public Chat(
        Connections connections, Writer writer, MessageReader reader, PageRoom room, Metrics metrics, TimeProvider time,
        IHostApplicationLifetime lifetime, ILogger<Drain> log)
    {
        Connections = connections;
        Writer = writer;
        Metrics = metrics;
        _reader = reader;
        _room = room;
        _time = time;
        _log = log;
        writer.Recovered = FallBehind;
        metrics.ObserveConnections(() => connections.Count);
        lifetime.ApplicationStopping.Register(Stop);
    }

    /// <summary>The map of who is there.</summary>
    public Connections Connections { get; }

    /// <summary>The one writer.</summary>
    public Writer Writer { get; }

    /// <summary>Counts messages.</summary>
    public Metrics Metrics { get; }

    /// <summary>
    /// Puts a connection into the map; the caller calls <see cref="Leave"/> at the end. What is committed from now on is offered to it, what was
    /// committed before is read from the database. A message in between is both, and comes once, because ids only rise.
    /// </summary>
    /// <param name="connection">The new connection.</param>
    /// <param name="position">The <see cref="Position"/> to resume after, as the client wrote it; null to start with what is undelivered.</param>
    /// <returns>Why not, or null.</returns>
    public Refusal? Join(Connection connection, string? position)
    {
        if (_stopping)
            return Refusal.ServerStopping;
        if (_reader.Locate(connection.User, position, Writer.LastCommitted, out var after) is { } unknown)
            return unknown;
        if (Connections.TryAdd(connection) is { } refusal)
            return refusal;

        var committed = Writer.LastCommitted; // asked after it is in the map: nothing falls in between
        connection.StartBehind(position: after ?? 0, inboxUpTo: after ?? committed, committed);
        if (_stopping)
            connection.End(ConnectionEnd.ShuttingDown);
        return null;
    }

    /// <summary>Takes this connection, and no other, out of the map. May be called twice.</summary>
    public void Leave(Connection connection) => Connections.Remove(connection);

    /// <summary>Whether the user has a connection open.</summary>
    public bool IsOnline(string user) => Connections.Of(user).Any(connection => connection.IsAttended);

    /// <summary>The one that takes out of a connection, just joined. Its transport disposes of it.</summary>
    public Drain DrainOf(Connection connection) => new(connection, _reader, _room, _time, _log);

    /// <summary>Storage works again: what was committed after all is read from the database, by everybody.</summary>
    private void FallBehind()
    {
        foreach (var connection in Connections.All)
            connection.FallBehind(Writer.LastCommitted);
    }

    private void Stop()
    {
        _stopping = true;
        foreach (var connection in Connections.All)
            connection.End(ConnectionEnd.ShuttingDown);
    }
}
