using System.Collections.Concurrent;
using SimpleChat.Settings;
using SimpleChat.Wire;

namespace SimpleChat;

/// <summary>
/// The map: user id → that user's open connections. In memory, and nowhere else.
/// The sets are arrays that are never changed, only replaced whole: a lookup needs no lock and never sees a half-made change.
/// </summary>
/// <param name="options">The limits.</param>
/// <param name="capacity">How many connections the process can hold; null for <c>Chat:MaxConnections</c>.</param>
internal sealed class Connections(ChatOptions options, int? capacity = null)
{
    private readonly ConcurrentDictionary<string, Connection[]> _connections = new(StringComparer.Ordinal);
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
        if (Interlocked.Increment(ref _count) > (capacity ?? options.MaxConnections))
        {
            Interlocked.Decrement(ref _count);
            return Refusal.ServerFull;
        }

        while (true)
        {
            if (!_connections.TryGetValue(connection.User, out var others))
            {
                if (_connections.TryAdd(connection.User, [connection]))
                    return null;
            }
            else if (connection.IsAttended && others.Count(other => other.IsAttended) >= options.ConnectionsPerUser)
            {
                Interlocked.Decrement(ref _count);
                return Refusal.TooManyConnections;
            }
            else if (_connections.TryUpdate(connection.User, [.. others, connection], others))
            {
                return null;
            }
        }
    }

    /// <summary>Removes this connection and no other: a newer one of the same user stays (I5). Does nothing if it is not there.</summary>
    public void Remove(Connection connection)
    {
        while (_connections.TryGetValue(connection.User, out var connections) && connections.Contains(connection))
        {
            var others = Array.FindAll(connections, other => other != connection);
            var swapped = others.Length == 0
                ? _connections.TryRemove(KeyValuePair.Create(connection.User, connections))
                : _connections.TryUpdate(connection.User, others, connections);
            if (swapped)
            {
                Interlocked.Decrement(ref _count);
                return;
            }
        }
    }
}
