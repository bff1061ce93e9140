using System.Diagnostics;
using SimpleChat.Monitoring;
using SimpleChat.Settings;
using SimpleChat.Wire;

namespace SimpleChat.ScaleOut;

/// <summary>
/// The audience of a node: everybody who is connected to any node. Those who are here are offered what the <see cref="CommitChain"/>
/// brings, in its order. Those who are elsewhere hear of it from their node.
/// </summary>
/// <param name="here">The map of this node's connections.</param>
/// <param name="everywhere">The map of all nodes.</param>
/// <param name="chain">Brings the commits of all nodes.</param>
/// <param name="look">Reads what was not announced.</param>
/// <param name="deliveries">Tells senders who are here what was delivered.</param>
/// <param name="announcer">Tells the other nodes.</param>
/// <param name="options">The limits.</param>
/// <param name="log">Hears when Redis is away.</param>
internal sealed partial class ClusterAudience(
    Connections here, RedisMap everywhere, CommitChain chain, TailLook look, Deliveries deliveries, Announcer announcer,
    ChatOptions options, ILogger<ClusterAudience> log) : IAudience
{
    /// <summary>Locks under which the users' numbers are sent: those of one user leave in order.</summary>
    private readonly Lock[] _turns = [.. Enumerable.Range(0, 64).Select(_ => new Lock())];

    public long Committed => chain.Known;

    /// <summary>Adds it to this node's map, and then asks the map of all nodes. While Redis is away each node has its own limit.</summary>
    public async ValueTask<Refusal?> TryAddAsync(Connection connection)
    {
        deliveries.Join(connection, await look.CatchUpAsync());
        if (here.TryAdd(connection) is { } refusal)
        {
            deliveries.Leave(connection);
            return refusal;
        }

        if (!connection.IsAttended)
            return null;
        try
        {
            Task<bool> joining;
            lock (TurnOf(connection.User))
                joining = everywhere.TryJoinAsync(connection.User, Count(connection.User), options.ConnectionsPerUser);
            if (await joining)
                return null;
        }
        catch (Exception e) when (RedisServer.IsAway(e))
        {
            Log.NotCounted(log, connection.User, e.Message);
            return null;
        }

        Remove(connection);
        return Refusal.TooManyConnections;
    }

    public void Remove(Connection connection)
    {
        if (!here.Of(connection.User).Contains(connection))
            return;
        here.Remove(connection);
        deliveries.Leave(connection);
        if (connection.IsAttended)
            Assert(connection.User);
    }

    public async ValueTask<bool?> IsOnlineAsync(string user)
    {
        if (Count(user) > 0)
            return true;
        try
        {
            return await everywhere.IsOnlineAsync(user);
        }
        catch (Exception e) when (RedisServer.IsAway(e))
        {
            return null;
        }
    }

    public void Push(Message message, Connection? origin)
    {
        var commit = new Commit(message.Id, message.From, message.To, message, IsOwn: true, origin)
        {
            Trace = Activity.Current?.Context ?? default,
        };
        chain.Add(commit);
        announcer.Add(commit);
    }

    public void Tell(Receipt receipt)
    {
        var delivered = new Delivered(receipt, deliveries.Committed);
        deliveries.Tell(delivered);
        announcer.Add(delivered);
    }

    /// <summary>Messages that were committed after all are read by the look. Receipts are read by everybody, here and elsewhere.</summary>
    public void Recover()
    {
        MissReceipts();
        announcer.Lose();
    }

    /// <summary>Somebody may have delivered something and told nobody here.</summary>
    public void MissReceipts()
    {
        foreach (var connection in here.All)
            connection.FallBehind(chain.Known, withReceipts: true);
    }

    /// <summary>The chain offers a commit: steps 3 and 4. If the message has not come along, whoever is here reads it.</summary>
    public static void Offer(LocalAudience audience, Connections here, Traces traces, Commit commit)
    {
        if (commit.Message is { } message)
        {
            using var heard = commit.IsOwn ? null : traces.Hear(commit);
            audience.Push(message, commit.Origin);
            return;
        }

        foreach (var connection in here.Of(commit.To).Concat(here.Of(commit.From)))
            connection.FallBehind(commit.Id);
    }

    /// <summary>Writes all of this node's users into the map again.</summary>
    public void AssertAll()
    {
        foreach (var user in here.All.Where(connection => connection.IsAttended).Select(connection => connection.User).Distinct())
            Assert(user);
    }

    private void Assert(string user)
    {
        try
        {
            lock (TurnOf(user))
                everywhere.Set(user, Count(user));
        }
        catch (Exception e) when (RedisServer.IsAway(e))
        {
            // Everything is asserted again when it is back.
        }
    }

    private int Count(string user) => here.Of(user).Count(connection => connection.IsAttended);

    private Lock TurnOf(string user) => _turns[(uint)user.GetHashCode(StringComparison.Ordinal) % _turns.Length];

    private static partial class Log
    {
        [LoggerMessage(40, LogLevel.Debug, "A connection of {User} is counted on this node alone: {Reason}")]
        public static partial void NotCounted(ILogger log, string user, string reason);
    }
}
