using System.Threading.Tasks.Sources;

namespace SimpleChat.Queues;

/// <summary>
/// Wakes one waiter. A wake that comes while nobody waits is kept for the next wait; several are kept as one. A channel of one item would
/// do the same in ten times the memory, and every connection has one.
/// </summary>
internal sealed class Signal : IValueTaskSource
{
    private const int Idle = 0, Kept = 1, Waiting = 2;

    private ManualResetValueTaskSourceCore<bool> _source = new() { RunContinuationsAsynchronously = true };
    private int _state;

    /// <summary>Wakes the waiter, or the next one.</summary>
    public void Set()
    {
        if (Interlocked.Exchange(ref _state, Kept) != Waiting)
            return;
        Volatile.Write(ref _state, Idle); // a second wake until now changes nothing: the waiter has not looked yet
        _source.SetResult(true);
    }

    /// <summary>Wakes once the task has ended, however it did. Nobody waits for this.</summary>
    public void SetAfter(Task task) => _ = task.ContinueWith(
        static (_, signal) => ((Signal)signal!).Set(), this, CancellationToken.None,
        TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);

    /// <summary>Waits for the next wake. One waiter at a time; await it once.</summary>
    public ValueTask WaitAsync()
    {
        _source.Reset();
        if (Interlocked.CompareExchange(ref _state, Waiting, Idle) == Idle)
            return new ValueTask(this, _source.Version);
        Volatile.Write(ref _state, Idle);
        return ValueTask.CompletedTask;
    }

    void IValueTaskSource.GetResult(short token) => _source.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => _source.GetStatus(token);

    void IValueTaskSource.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _source.OnCompleted(continuation, state, token, flags);
}
