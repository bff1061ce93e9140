namespace SimpleChat;

/// <summary>The rules of the chat: what happens to a message, whoever brings it and whoever carries it away.</summary>
internal sealed class ChatService
{
    private readonly ConnectionRegistry _registry;
    private readonly MessageWriter _writer;
    private readonly MessageStore _store;
    private readonly PageRoom _room;
    private readonly ChatMetrics _metrics;
    private readonly TimeProvider _time;
    private readonly ILogger<Drain> _log;
    private volatile bool _stopping;

    public ChatService(
        ConnectionRegistry registry, MessageWriter writer, MessageStore store, PageRoom room, ChatMetrics metrics, TimeProvider time,
        IHostApplicationLifetime lifetime, ILogger<Drain> log)
    {
        (_registry, _writer, _store, _room, _metrics, _time, _log) = (registry, writer, store, room, metrics, time, log);
        writer.Reopened = CatchUpWith;
        metrics.ObserveConnections(() => registry.Count);
        lifetime.ApplicationStopping.Register(StopConnections);
    }

    // ── The five steps ────────────────────────────────────────────────────────────────────────────────────────────────

    /// <summary>1. alice's message has come in, over <paramref name="send"/>'s connection or over HTTP. 2. It goes to the writer, which stores it.</summary>
    public ValueTask SendAsync(PendingSend send)
    {
        if (send.Share.TakeMessage())
            return _writer.EnqueueAsync(send);
        send.Answer(ChatError.RateLimited);
        return ValueTask.CompletedTask;
    }

    /// <summary>2. Within the writer's transaction: the MessageDB row and the InboxDB row, unless this is a repeat of a message that is already there.</summary>
    public static void Store(PendingSend send, MessageTransaction transaction)
    {
        var first = send.Draft.ClientMessageId is { } repeated ? transaction.Find(send.Draft.From, repeated) : null;
        send.IsRepeat = first is not null;
        send.Message = first ?? transaction.Insert(send.Draft, send.AcceptedAt);
    }

    /// <summary>The commit is on disk. Alice is told, and a message that is new is pushed.</summary>
    public void Stored(PendingSend send)
    {
        send.Answer(send.IsReused ? ChatError.ClientMessageIdReused : null);
        if (send.IsRepeat)
            return;
        _metrics.Stored();
        Push(send.Message!, send.Origin);
    }

    /// <summary>
    /// 3. The map is asked who bob is. 4. Online: each of his connections is handed the message. Away: there is nothing to do, it waits in InboxDB.
    /// Alice's other connections are shown what she sent.
    /// </summary>
    private void Push(Message message, Connection? origin)
    {
        foreach (var connection in _registry.Of(message.To))
            connection.Offer(message);
        if (message.From == message.To)
            return;
        foreach (var connection in _registry.Of(message.From))
        {
            if (connection == origin)
                connection.Skip(message.Id);
            else
                connection.Offer(message);
        }
    }

    /// <summary>5. Bob has it: the inbox row is gone, durably. Alice is told.</summary>
    public void Delivered(List<Receipt> receipts)
    {
        _metrics.Delivered(receipts.Count);
        foreach (var receipt in receipts)
        {
            foreach (var connection in _registry.Of(receipt.From))
                connection.Tell(receipt);
        }
    }

    // ── Who is there, and what is waiting for whom ────────────────────────────────────────────────────────────────────

    /// <summary>
    /// Puts a connection into the map: from now on every message to its user reaches it. What was committed before is read from the database, what
    /// is committed later is offered to it; a message in between is both, and comes once, because ids only rise. The caller calls <see cref="Leave"/> at the end.
    /// </summary>
    /// <param name="connection">The new connection.</param>
    /// <param name="position">The <see cref="Position"/> to resume after, as the client wrote it; null to start with what is undelivered.</param>
    /// <returns>Why not, or null.</returns>
    public ChatError? Join(Connection connection, string? position)
    {
        if (_stopping)
            return ChatError.ServerStopping;
        if (Locate(connection.User, position, out var after) is { } lost)
            return lost;
        if (_registry.TryAdd(connection) is { } refusal)
            return refusal;

        var committed = _writer.LastCommitted;
        connection.StartBehind(position: after ?? 0, inboxUpTo: after ?? committed, committed);
        if (_stopping)
            connection.End(ConnectionEnd.ShuttingDown);
        return null;
    }

    /// <summary>Finds a <see cref="Position"/>, which a client wrote, among the user's messages. In the long form it is proved, in the short one only possible.</summary>
    /// <param name="user">Whose messages.</param>
    /// <param name="position">What the client wrote, or null.</param>
    /// <param name="after">The id; null without a position.</param>
    /// <returns>Why it cannot be taken, or null.</returns>
    public ChatError? Locate(string user, string? position, out long? after)
    {
        after = null;
        if (position is null)
            return null;
        if (!Position.TryParse(position, out var place))
            return ChatError.InvalidPosition;
        after = place.Id;
        try
        {
            return place.SentAt is { } sentAt ? _store.Holds(user, place.Id, sentAt) ? null : ChatError.UnknownPosition
                : place.Id > _writer.LastCommitted ? ChatError.UnknownPosition : null;
        }
        catch (Microsoft.Data.Sqlite.SqliteException)
        {
            return ChatError.StorageUnreadable;
        }
    }

    /// <summary>Takes this connection, and no other, out of the map. May be called twice.</summary>
    public void Leave(Connection connection) => _registry.Remove(connection);

    /// <summary>Whether the user has a connection open.</summary>
    public bool IsOnline(string user) => _registry.Of(user).Any(connection => connection.IsAttended);

    /// <summary>The one that takes out of a connection, just joined; its transport disposes of it.</summary>
    public Drain DrainOf(Connection connection) => new(connection, _store, _room, _time, _log);

    /// <summary>The user has these messages: it said so, or they were written to its socket.</summary>
    public ValueTask DeliverAsync(PendingDelivery delivery) => _writer.EnqueueAsync(delivery);

    /// <summary>After a fault of storage everybody falls behind: what was committed after all is read from the database.</summary>
    private void CatchUpWith(List<Receipt> receipts)
    {
        foreach (var connection in _registry.All)
            connection.FallBehind(_writer.LastCommitted);
        Delivered(receipts);
    }

    private void StopConnections()
    {
        _stopping = true;
        foreach (var connection in _registry.All)
            connection.End(ConnectionEnd.ShuttingDown);
    }
}
