using StackExchange.Redis;

namespace SimpleChat.ScaleOut;

/// <summary>
/// The map of all nodes, in Redis: user id → the nodes that have connections of that user, and how many. A node writes only its own
/// numbers, each as it is now: to repeat it harms nothing. What stands under a node that has expired is ignored. Nodes renew both.
/// </summary>
/// <param name="redis">The Redis.</param>
internal sealed class RedisMap(RedisServer redis)
{
    /// <summary>A node that does not renew its entry for so long is gone.</summary>
    public static readonly TimeSpan Expiry = TimeSpan.FromSeconds(15);

    /// <summary>What no node has asserted for so long disappears.</summary>
    public static readonly TimeSpan UserExpiry = TimeSpan.FromMinutes(3);

    private const string Nodes = "chat:nodes"; // sorted by when each expires, by Redis's clock

    private const string Now = "local t = redis.call('TIME'); local now = t[1] * 1000 + math.floor(t[2] / 1000); ";

    /// <summary>KEYS: nodes, user. ARGV: node, its number with the new connection, limit, expiry in seconds.</summary>
    private const string JoinScript = Now +
        """
        local sum = tonumber(ARGV[2])
        local entries = redis.call('HGETALL', KEYS[2])
        for i = 1, #entries, 2 do
          if entries[i] ~= ARGV[1] then
            local expires = redis.call('ZSCORE', KEYS[1], entries[i])
            if expires and tonumber(expires) > now then
              sum = sum + tonumber(entries[i + 1])
            else
              redis.call('HDEL', KEYS[2], entries[i])
            end
          end
        end
        if sum > tonumber(ARGV[3]) then return 0 end
        redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
        redis.call('EXPIRE', KEYS[2], ARGV[4])
        return 1
        """;

    /// <summary>KEYS: nodes, user. Whether a living node has the user.</summary>
    private const string OnlineScript = Now +
        """
        for _, node in ipairs(redis.call('HKEYS', KEYS[2])) do
          local expires = redis.call('ZSCORE', KEYS[1], node)
          if expires and tonumber(expires) > now then return 1 end
        end
        return 0
        """;

    /// <summary>KEYS: nodes, users. The living nodes, and for each user the nodes that have it.</summary>
    private const string WhereScript = Now +
        """
        local found = { redis.call('ZRANGEBYSCORE', KEYS[1], now, '+inf') }
        for i = 2, #KEYS do found[i] = redis.call('HKEYS', KEYS[i]) end
        return found
        """;

    /// <summary>KEYS: nodes. ARGV: node, expiry in milliseconds. Whether the node was there already, then the living nodes.</summary>
    private const string RenewScript = Now +
        """
        local was = redis.call('ZSCORE', KEYS[1], ARGV[1])
        redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
        redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - 600000)
        local found = redis.call('ZRANGEBYSCORE', KEYS[1], now, '+inf')
        table.insert(found, 1, was and tonumber(was) > now and '1' or '0')
        return found
        """;

    /// <summary>This start of this node. A restarted node is another one.</summary>
    public string Incarnation { get; } = Guid.NewGuid().ToString("N");

    /// <summary>Renews this node's entry, and finds out whether Redis answers.</summary>
    /// <returns>Whether it was there, and all nodes that are there.</returns>
    public async Task<(bool WasThere, string[] Living)> RenewAsync()
    {
        var found = (string[])(await redis.EvaluateAsync(
            RenewScript, [Nodes], [Incarnation, (long)Expiry.TotalMilliseconds], isProbe: true))!;
        return (found[0] == "1", found[1..]);
    }

    /// <summary>Takes this node out, at its orderly end.</summary>
    public Task LeaveAsync() => redis.Commands.SortedSetRemoveAsync(Nodes, Incarnation);

    /// <summary>Enters a user's new connection, unless the user has too many on all nodes together.</summary>
    /// <param name="user">The user.</param>
    /// <param name="count">How many attended connections this node has of the user now.</param>
    /// <param name="limit">How many the user may have.</param>
    public async Task<bool> TryJoinAsync(string user, int count, int limit) => (int)await redis.EvaluateAsync(
        JoinScript, [Nodes, Key(user)], [Incarnation, count, limit, (long)UserExpiry.TotalSeconds]) == 1;

    /// <summary>Says how many attended connections this node has of the user. Nobody waits for it, and in the order of the calls.</summary>
    public void Set(string user, int count)
    {
        if (count == 0)
        {
            redis.Commands.HashDelete(Key(user), Incarnation, CommandFlags.FireAndForget);
            return;
        }

        redis.Commands.HashSet(Key(user), Incarnation, count, When.Always, CommandFlags.FireAndForget);
        redis.Commands.KeyExpire(Key(user), UserExpiry, CommandFlags.FireAndForget);
    }

    /// <summary>Whether a living node has an attended connection of the user.</summary>
    public async Task<bool> IsOnlineAsync(string user) =>
        (int)await redis.EvaluateAsync(OnlineScript, [Nodes, Key(user)]) == 1;

    /// <summary>Finds the nodes that have each of these users.</summary>
    /// <param name="users">The users.</param>
    /// <param name="where">Gets what was found, for each of them.</param>
    /// <returns>The nodes that are there.</returns>
    public async Task<string[]> FindAsync(IReadOnlyList<string> users, Dictionary<string, string[]> where)
    {
        var found = (RedisResult[])(await redis.EvaluateAsync(WhereScript, [Nodes, .. users.Select(Key)]))!;
        for (var i = 0; i < users.Count; i++)
            where[users[i]] = (string[])found[i + 1]!;
        return (string[])found[0]!;
    }

    private static RedisKey Key(string user) => $"chat:user:{user}";
}
