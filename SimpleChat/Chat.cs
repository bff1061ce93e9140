using SimpleChat.Monitoring;
using SimpleChat.Queues;
using SimpleChat.Storage;
using SimpleChat.Wire;

namespace SimpleChat;

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
    /// Puts a connection into the map; the caller calls <see cref="Leave"/> at the end. What is committed from now on is offered to it,
    /// what was committed before is read from the database. A message in between is both. It comes once: a queued message that is not above
    /// the position is dropped (<see cref="Connection.Take"/>).
    /// </summary>
    /// <param name="connection">The new connection.</param>
    /// <param name="position">The <see cref="Position"/> to resume after, as the client wrote it; null to start with what is
    /// undelivered.</param>
    /// <returns>Null, or why it could not join.</returns>
    public Refusal? Join(Connection connection, string? position)
    {
        if (_stopping)
            return Refusal.ServerStopping;
        if (_reader.Locate(connection.User, position, Writer.LastCommitted, out var after) is { } unknown)
            return unknown;
        if (Connections.TryAdd(connection) is { } refusal)
            return refusal;

        // Asked once it is in the map. The writer sets it before it looks into the map: so each message is offered, read, or both.
        var committed = Writer.LastCommitted;
        connection.StartBehind(position: after ?? 0, inboxUpTo: after ?? committed, committed);
        if (_stopping)
            connection.End(ConnectionEnd.ShuttingDown);
        return null;
    }

    /// <summary>Takes this connection, and no other, out of the map. May be called twice.</summary>
    public void Leave(Connection connection) => Connections.Remove(connection);

    /// <summary>Whether the user has a connection open.</summary>
    public bool IsOnline(string user) => Connections.Of(user).Any(connection => connection.IsAttended);

    /// <summary>Makes the drain of a connection that has just joined. Its transport disposes of it.</summary>
    public Drain DrainOf(Connection connection) => new(connection, _reader, _room, _time, _log);

    /// <summary>
    /// Storage works again: everybody reads on from the database, because a commit that seemed to fail may have succeeded.
    /// </summary>
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
