using SimpleChat.Limits;

namespace SimpleChat.ScaleOut;

/// <summary>
/// A user's allowance of messages on all nodes together: a token bucket in Redis. A node takes a tenth of a second's messages at once, and
/// gives them out without asking. What it has taken counts as sent. While Redis is away each node has an allowance of its own.
/// </summary>
internal sealed class RedisRateLimit(RedisServer redis, string user, int messagesPerSecond, TimeProvider time) : IRateLimit
{
    /// <summary>KEYS: bucket. ARGV: per second, burst, wanted. How many are granted.</summary>
    private const string Script =
        """
        local t = redis.call('TIME'); local now = t[1] + t[2] / 1000000
        local rate, burst, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
        local bucket = redis.call('HMGET', KEYS[1], 'tokens', 'at')
        local tokens = burst
        if bucket[1] then tokens = math.min(burst, bucket[1] + math.max(0, now - bucket[2]) * rate) end
        local granted = math.min(wanted, math.floor(tokens))
        redis.call('HSET', KEYS[1], 'tokens', tostring(tokens - granted), 'at', tostring(now))
        redis.call('EXPIRE', KEYS[1], math.ceil(burst / rate) + 1)
        return granted
        """;

    private readonly Lock _gate = new();
    private readonly RateLimit _local = new(messagesPerSecond, time);

    private int _taken; // guarded by _gate

    /// <summary>What is taken counts as sent in Redis: a new limit allows no more.</summary>
    public bool IsFull => _local.IsFull;

    public async ValueTask<bool> TryTakeAsync()
    {
        lock (_gate)
        {
            if (_taken > 0)
            {
                _taken--;
                return true;
            }
        }

        try
        {
            var granted = (int)await redis.EvaluateAsync(
                Script, [$"chat:rate:{user}"], [messagesPerSecond, 2 * messagesPerSecond, Math.Max(1, messagesPerSecond / 10)]);
            lock (_gate)
                _taken += Math.Max(0, granted - 1);
            return granted > 0;
        }
        catch (Exception e) when (RedisServer.IsAway(e))
        {
            return await _local.TryTakeAsync();
        }
    }
}
