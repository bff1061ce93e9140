using SimpleChat.Monitoring;
using SimpleChat.Queues;
using SimpleChat.Storage;
using SimpleChat.Wire;

namespace SimpleChat;

/// <summary>How a connection joins and leaves. It also has what the steps share: the writer, the audience, the metrics.</summary>
internal sealed class Chat(
    IAudience audience, Writer writer, IMessageReader reader, PageRoom room, Metrics metrics, TimeProvider time,
    ILogger<Drain> log)
{
    private volatile bool _stopping;

    /// <summary>Who is there, and who brings it to them.</summary>
    public IAudience Audience => audience;

    public Writer Writer => writer;

    public Metrics Metrics => metrics;

    /// <summary>
    /// Adds a connection to the audience; the caller calls <see cref="Leave"/> at the end. What is committed from now on is offered to it,
    /// what was committed before is read from the database. A message that is committed just now may come from both. The client gets it
    /// once: a queued message that is not above the position is dropped (<see cref="Connection.Take"/>).
    /// </summary>
    /// <param name="position">The <see cref="Position"/> to resume after, as the client wrote it; null to start with what is
    /// undelivered.</param>
    /// <returns>Null, or why it could not join.</returns>
    public async ValueTask<Refusal?> JoinAsync(Connection connection, string? position)
    {
        if (_stopping)
            return Refusal.ServerStopping;
        var (after, unproved) = await reader.LocateAsync(connection.User, position);
        if (unproved is not null)
            return unproved;
        if (await audience.TryAddAsync(connection) is { } refusal)
            return refusal;

        // Committed is read after the connection was put into the map. For each message, the writer raises Committed first, and then looks
        // into the map. So the drain reads the message (it is not above this value), or the writer finds this connection, or both.
        var committed = audience.Committed;
        connection.StartBehind(position: after ?? 0, inboxUpTo: after ?? committed, committed);
        if (_stopping)
            connection.End(ConnectionEnd.ShuttingDown);
        return null;
    }

    /// <summary>Takes this connection, and no other, out of the audience. May be called twice.</summary>
    public void Leave(Connection connection) => audience.Remove(connection);

    /// <summary>Makes the drain of a connection that has just joined. Its transport disposes of it.</summary>
    public Drain DrainOf(Connection connection) => new(connection, reader, room, time, log);

    /// <summary>The server stops: nobody joins any more. The caller ends the connections that are open.</summary>
    public void Stop() => _stopping = true;
}
