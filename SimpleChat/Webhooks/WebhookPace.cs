namespace SimpleChat.Webhooks;

/// <summary>
/// Says when a user's receiver may be called next. The pause between failing calls belongs to the user, and not to a registration. So a
/// user cannot avoid it by registering a webhook again, at the same URL or another.
/// </summary>
internal sealed class WebhookPace(WebhookOptions options, TimeProvider time)
{
    /// <summary>A user can make a waiting line try at once no more often than this.</summary>
    private static readonly TimeSpan HurryInterval = TimeSpan.FromSeconds(10);

    private readonly Lock _gate = new();

    // Guarded by _gate. Times are those of the monotonic clock.
    private TimeSpan _next, _nextHurry;
    private TimeSpan _wait, _longerWait = options.FirstRetry;
    private TaskCompletionSource _hurried = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Whether no pause is running. Then a new pace would be the same.</summary>
    public bool IsIdle { get { lock (_gate) return _next <= Now && _nextHurry <= Now; } }

    private TimeSpan Now => time.GetElapsedTime(0);

    /// <summary>Waits until a call is due.</summary>
    /// <exception cref="OperationCanceledException"><paramref name="stop"/> was cancelled.</exception>
    public async Task WaitAsync(CancellationToken stop)
    {
        while (true)
        {
            stop.ThrowIfCancellationRequested();
            TimeSpan left;
            Task hurried;
            lock (_gate)
                (left, hurried) = (_next - Now, _hurried.Task);
            if (left <= TimeSpan.Zero)
                return;
            await hurried.WaitAsync(left, time, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>
    /// Called when a call begins. It counts as failed until it has succeeded, so that ending it early does not avoid the pause.
    /// </summary>
    public void Begin()
    {
        lock (_gate)
        {
            _wait = _longerWait * (1 - Random.Shared.NextDouble() / 2);
            _longerWait = _longerWait * 2 < options.LongestRetry ? _longerWait * 2 : options.LongestRetry;
            _next = Now + _wait;
        }
    }

    /// <summary>Called when the call has failed. The pause begins now, and is at least as long as the receiver asked for.</summary>
    public void Failed(TimeSpan retryAfter)
    {
        lock (_gate)
            _next = Now + (retryAfter > _wait ? retryAfter : _wait);
    }

    /// <summary>Called when a message was delivered or skipped. The next call is due at once, and pauses start short again.</summary>
    public void Reset()
    {
        lock (_gate)
            (_next, _longerWait) = (Now, options.FirstRetry);
    }

    /// <summary>
    /// Called when the user wants the next call soon. It is due at once, or <see cref="HurryInterval"/> after the last one that was
    /// hurried.
    /// </summary>
    public void Hurry()
    {
        TaskCompletionSource hurried;
        lock (_gate)
        {
            var soon = Now > _nextHurry ? Now : _nextHurry;
            if (soon >= _next)
                return;
            (_next, _nextHurry) = (soon, soon + HurryInterval);
            (hurried, _hurried) = (_hurried, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        }

        hurried.SetResult();
    }
}
