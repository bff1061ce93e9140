using System.Collections.Concurrent;
using SimpleChat.Settings;
using SimpleChat.Wire;

namespace SimpleChat;

/// <summary>
/// The map: user id → that user's open connections. In memory, and nowhere else. A user's array is never changed, only replaced. So a
/// lookup needs no lock.
/// </summary>
/// <param name="capacity">How many connections the process can hold; null for <c>Chat:MaxConnections</c>.</param>
internal sealed class Connections(ChatOptions options, int? capacity = null)
{
    private readonly Lock _gate = new();
    private readonly ConcurrentDictionary<string, Connection[]> _connections = new(StringComparer.Ordinal); // changed under _gate
    private int _count;

    public int Count => Volatile.Read(ref _count);

    /// <summary>Everyone's connections; by the time they are looked at, some may be gone.</summary>
    public IEnumerable<Connection> All => _connections.Values.SelectMany(connections => connections);

    /// <summary>The user's connections, attended or not; empty if there are none.</summary>
    public Connection[] Of(string user) => _connections.TryGetValue(user, out var connections) ? connections : [];

    /// <summary>Adds a connection, unless a limit is reached.</summary>
    /// <returns>Null, or the limit that was reached.</returns>
    public Refusal? TryAdd(Connection connection)
    {
        lock (_gate)
        {
            var others = Of(connection.User);
            if (_count >= (capacity ?? options.MaxConnections))
                return Refusal.ServerFull;
            if (connection.IsAttended && others.Count(other => other.IsAttended) >= options.ConnectionsPerUser)
                return Refusal.TooManyConnections;
            _connections[connection.User] = [.. others, connection];
            _count++;
            return null;
        }
    }

    /// <summary>Removes this connection and no other: a newer one of the same user stays (I5). Does nothing if it is not there.</summary>
    public void Remove(Connection connection)
    {
        lock (_gate)
        {
            var connections = Of(connection.User);
            var others = Array.FindAll(connections, other => other != connection);
            if (others.Length == 0)
                _connections.TryRemove(connection.User, out _);
            else
                _connections[connection.User] = others;
            _count -= connections.Length - others.Length;
        }
    }
}
