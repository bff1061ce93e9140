namespace SimpleChat.Limits;

/// <summary>How many messages one user may still send. The single server's is <see cref="RateLimit"/>.</summary>
internal interface IRateLimit
{
    /// <summary>Takes one message from the allowance. False if none is left.</summary>
    ValueTask<bool> TryTakeAsync();

    /// <summary>Whether nothing is taken, so that a new limit would allow no more.</summary>
    bool IsFull { get; }
}

internal delegate IRateLimit RateLimitOf(string user);

/// <summary>An allowance in this process's memory: so many messages per second, with bursts of twice that.</summary>
internal sealed class RateLimit(int messagesPerSecond, TimeProvider time) : IRateLimit
{
    private readonly Lock _gate = new();
    private TokenBucket _messages = new(messagesPerSecond, burst: 2 * messagesPerSecond, time.GetTimestamp()); // under _gate

    public ValueTask<bool> TryTakeAsync()
    {
        lock (_gate)
            return ValueTask.FromResult(_messages.TryTake(time));
    }

    public bool IsFull { get { lock (_gate) return _messages.IsFull(time); } }
}
