namespace SimpleChat.Webhooks;

/// <summary>
/// When a user's receiver may be called next. The pause between failing calls belongs to the user and not to a registration:
/// deleting a webhook and registering it again, here or elsewhere, does not get round it.
/// </summary>
internal sealed class WebhookPace(WebhookOptions options, TimeProvider time)
{
    /// <summary>A user makes a waiting line try at once no more often than this.</summary>
    private static readonly TimeSpan HurryInterval = TimeSpan.FromSeconds(10);

    private readonly Lock _gate = new();

    // Under _gate. Points in time are those of the monotonic clock.
    private TimeSpan _next, _nextHurry;
    private TimeSpan _wait, _longerWait = options.FirstRetry;
    private TaskCompletionSource _hurried = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Whether it holds nothing back: a new one would do as well.</summary>
    public bool IsIdle
    {
        get
        {
            lock (_gate)
                return _next <= Now && _nextHurry <= Now;
        }
    }

    private TimeSpan Now => time.GetElapsedTime(0);

    /// <summary>Waits until a call is due.</summary>
    /// <exception cref="OperationCanceledException"><paramref name="stop"/> was.</exception>
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

    /// <summary>A call begins. It counts as failed until it has worked, so that breaking it off gains nothing.</summary>
    public void Begin()
    {
        lock (_gate)
        {
            _wait = _longerWait * (1 - Random.Shared.NextDouble() / 2);
            _longerWait = _longerWait * 2 < options.LongestRetry ? _longerWait * 2 : options.LongestRetry;
            _next = Now + _wait;
        }
    }

    /// <summary>The call has failed: the pause begins now, and is at least what the receiver asked for.</summary>
    public void Failed(TimeSpan retryAfter)
    {
        lock (_gate)
            _next = Now + (retryAfter > _wait ? retryAfter : _wait);
    }

    /// <summary>Done with this message: the next call is due at once, and the pauses start small again.</summary>
    public void Reset()
    {
        lock (_gate)
            (_next, _longerWait) = (Now, options.FirstRetry);
    }

    /// <summary>The user wants the next call soon: at once, or <see cref="HurryInterval"/> after the last such wish came true.</summary>
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
