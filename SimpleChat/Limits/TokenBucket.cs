namespace SimpleChat.Limits;

/// <summary>A token bucket that may be overdrawn. It fills steadily until it holds a burst. The owner locks.</summary>
internal struct TokenBucket(double perSecond, double burst, long createdAt)
{
    private readonly double _burst = burst;
    private double _tokens = burst;
    private long _filledAt = createdAt;

    public bool TryTake(TimeProvider time)
    {
        Fill(time);
        if (_tokens < 1)
            return false;
        _tokens--;
        return true;
    }

    /// <summary>Takes so many tokens, even if there are fewer.</summary>
    public void Take(double count, TimeProvider time)
    {
        Fill(time);
        _tokens -= count;
    }

    /// <summary>How long it takes until an overdrawn bucket is at zero.</summary>
    public TimeSpan Debt(TimeProvider time)
    {
        if (_tokens >= 0)
            return TimeSpan.Zero;
        Fill(time);
        return _tokens >= 0 ? TimeSpan.Zero : TimeSpan.FromSeconds(-_tokens / perSecond);
    }

    /// <summary>Whether it holds a whole burst, like a new one.</summary>
    public bool IsFull(TimeProvider time)
    {
        Fill(time);
        return _tokens >= _burst;
    }

    private void Fill(TimeProvider time)
    {
        var now = time.GetTimestamp();
        _tokens = Math.Min(_burst, _tokens + time.GetElapsedTime(_filledAt, now).TotalSeconds * perSecond);
        _filledAt = now;
    }
}
