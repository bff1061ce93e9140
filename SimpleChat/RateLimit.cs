using System.Threading.RateLimiting;

namespace SimpleChat;

/// <summary>How fast one user may send, over all connections and HTTP: a token bucket per user (<see cref="ChatOptions.MessagesPerSecond"/>, bursts of twice that).</summary>
internal sealed class RateLimit(ChatOptions options) : IDisposable
{
    private readonly PartitionedRateLimiter<string>? _buckets = options.MessagesPerSecond == 0 ? null : PartitionedRateLimiter.Create<string, string>(user =>
        RateLimitPartition.GetTokenBucketLimiter(user, _ => Bucket(options.MessagesPerSecond)), StringComparer.Ordinal);

    /// <summary>Takes one message out of the user's allowance; false if there is none left.</summary>
    public bool Allows(string user)
    {
        if (_buckets is null)
            return true;
        using var lease = _buckets.AttemptAcquire(user);
        return lease.IsAcquired;
    }

    public void Dispose() => _buckets?.Dispose();

    /// <summary>Ten times a second a tenth of the rate; for a rate that has no tenth, a token at a time.</summary>
    private static TokenBucketRateLimiterOptions Bucket(int perSecond) => new()
    {
        TokenLimit = 2 * perSecond,
        TokensPerPeriod = perSecond % 10 == 0 ? perSecond / 10 : 1,
        ReplenishmentPeriod = perSecond % 10 == 0 ? TimeSpan.FromMilliseconds(100) : TimeSpan.FromSeconds(1) / perSecond,
        QueueLimit = 0,
    };
}
