namespace SimpleChat.Storage;

/// <summary>
/// The writes that wait for the <see cref="Writer"/>. It limits how many wait, and how long. A monitor guards two lists, which are swapped.
/// A channel would lock for each write, not once for a whole batch. And it could not find the writes that wait too long.
/// </summary>
internal sealed partial class WriteQueue(TimeProvider time, ILogger log)
{
    /// <summary>
    /// The most row operations that may wait, and so the most in one batch. A batch of this size takes far less than
    /// <see cref="Patience"/>. When the queue is full, senders wait.
    /// </summary>
    public const int Capacity = 32 * 1024;

    /// <summary>
    /// The most row operations of one user that may wait. They take some milliseconds, and nobody else waits for them longer.
    /// </summary>
    public const int CapacityPerUser = Capacity / 16;

    /// <summary>
    /// After this long a sender is told "not known to be stored". The contract allows 5 seconds; the rest is time to send the answer.
    /// </summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(4);

    private readonly object _gate = new(); // a monitor, because the writer's thread waits on it

    // Guarded by _gate. Without it, the writer's thread may read _batch, and anybody may read _fault.
    private List<Write> _waiting = [];
    private List<Write> _batch = [];
    private bool _isCommitted; // the batch is on disk, so it is not overdue
    private int _waitingCost;
    private TaskCompletionSource? _room;
    private bool _stopping;
    private string? _fault;

    /// <summary>Says in words what is wrong with storage; null if nothing is.</summary>
    public string? Fault => Volatile.Read(ref _fault);

    public int Count => _waiting.Count;

    /// <summary>
    /// Waits for room, then adds the write. If there is no room in time, the write is refused. While storage fails, it is refused at once.
    /// So when a client sends many messages without reading answers, the last waits no longer than the first.
    /// </summary>
    public async ValueTask EnqueueAsync(Write write)
    {
        write.Since = time.GetTimestamp();
        while (true)
        {
            Task room;
            lock (_gate)
            {
                if (_stopping || _fault is not null)
                    break;
                if (_waitingCost < Capacity && write.Share is not { Waiting: >= CapacityPerUser })
                {
                    Add(write);
                    return;
                }

                room = (_room ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
            }

            var patience = Patience - time.GetElapsedTime(write.Since);
            if (patience <= TimeSpan.Zero)
                break;
            await room.WaitAsync(patience, time).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        write.Unconfirmed();
    }

    /// <summary>
    /// Takes the next batch, which is every write that waits. The writer's thread calls this and waits here. The batch is empty if no write
    /// came in time.
    /// </summary>
    /// <param name="patience">How long to wait. While storage fails it does not wait, so that the writer tries again.</param>
    /// <returns>The batch; null when the server stops and no write is left.</returns>
    public List<Write>? Take(TimeSpan patience)
    {
        TaskCompletionSource? room;
        lock (_gate)
        {
            _batch.Clear();
            while (_waiting.Count == 0)
            {
                if (_stopping)
                    return null;
                if (_fault is not null || !Monitor.Wait(_gate, patience))
                    break;
            }

            (_batch, _isCommitted) = (TakeWaiting(next: _batch), false);
            (room, _room) = (_room, null);
        }

        room?.SetResult();
        return _batch;
    }

    /// <summary>Makes the writer's thread pause after a fault, unless the server stops.</summary>
    public void Rest(TimeSpan pause)
    {
        lock (_gate)
        {
            if (!_stopping)
                Monitor.Wait(_gate, pause);
        }
    }

    /// <summary>Marks storage as failing.</summary>
    /// <returns>The writes that waited, now removed. The caller refuses them.</returns>
    public List<Write> Fail(string fault)
    {
        List<Write> waiting;
        TaskCompletionSource? room;
        lock (_gate)
        {
            if (_fault != fault)
                Log.StorageFailed(log, fault);
            Volatile.Write(ref _fault, fault);
            waiting = TakeWaiting(next: []);
            (room, _room) = (_room, null);
        }

        room?.SetResult();
        return waiting;
    }

    /// <summary>Marks storage as working, after a commit of the batch. Called before its writes are answered.</summary>
    public void Succeed()
    {
        lock (_gate)
            _isCommitted = true;
        if (Fault is null)
            return;
        Volatile.Write(ref _fault, null);
        Log.StorageRecovered(log);
    }

    /// <summary>Marks storage as failing if a write has waited too long: then the disk does not answer.</summary>
    /// <returns>The writes that waited, and the batch that is being written. The caller refuses them.</returns>
    public List<Write> FailIfOverdue()
    {
        List<Write> stuck;
        lock (_gate)
        {
            stuck = _isCommitted ? [] : [.. _batch];
            if (!stuck.Concat(_waiting).Any(write => time.GetElapsedTime(write.Since) >= Patience))
                return [];
        }

        return [.. stuck, .. Fail("the disk does not answer in time.")];
    }

    /// <summary>Refuses writes from now on. Those that wait already can still be taken.</summary>
    public void Stop()
    {
        lock (_gate)
        {
            _stopping = true;
            Monitor.Pulse(_gate);
        }
    }

    private void Add(Write write)
    {
        var cost = write.Cost;
        _waiting.Add(write);
        _waitingCost += cost;
        if (write.Share is { } share)
            share.Waiting += cost;
        if (_waiting.Count == 1)
            Monitor.Pulse(_gate);
    }

    /// <summary>Takes every write that waits. The caller holds the gate.</summary>
    private List<Write> TakeWaiting(List<Write> next)
    {
        var taken = _waiting;
        foreach (var write in taken)
        {
            if (write.Share is { } share)
                share.Waiting = 0;
        }

        (_waiting, _waitingCost) = (next, 0);
        return taken;
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Error, "Storage failed: {Fault} Senders are told, nothing is pushed; tried again until it works.")]
        public static partial void StorageFailed(ILogger log, string fault);

        [LoggerMessage(2, LogLevel.Information, "Storage works again.")]
        public static partial void StorageRecovered(ILogger log);
    }
}
