namespace SimpleChat.Storage;

/// <summary>
/// What waits for the <see cref="Writer"/>, bounded, and for how long. Two lists are swapped under a monitor instead of a channel: that is
/// one lock for a whole batch, and whoever waits too long can be found.
/// </summary>
/// <param name="time">The clock.</param>
/// <param name="log">Hears when storage fails and when it works again.</param>
internal sealed partial class WriteQueue(TimeProvider time, ILogger log)
{
    /// <summary>
    /// Row operations that may wait, and so those of one batch: it ends long before anybody's patience. Beyond it senders wait.
    /// </summary>
    public const int Capacity = 32 * 1024;

    /// <summary>Row operations of one user that may wait, some milliseconds of work: nobody else is held up for longer.</summary>
    public const int CapacityPerUser = Capacity / 16;

    /// <summary>
    /// A sender is told "not known to be stored" after this long: before the contract's 5 seconds, by the time it takes to say so.
    /// </summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(4);

    private readonly object _gate = new(); // a monitor: the writer's thread waits on it

    // Under _gate, but for _batch, which the writer's thread may read freely, and _fault, which anybody may.
    private List<Write> _waiting = [];
    private List<Write> _batch = [];
    private int _waitingCost;
    private TaskCompletionSource? _room;
    private bool _stopping;
    private string? _fault;

    /// <summary>What is wrong with storage, in words; null while nothing is.</summary>
    public string? Fault => Volatile.Read(ref _fault);

    /// <summary>Writes that wait.</summary>
    public int Count => _waiting.Count;

    /// <summary>
    /// Waits for room, then hands over. Refuses when there is none in time, and at once while storage fails: of a client that sends many
    /// before it looks for answers, the last one waits no longer than the first.
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

        write.Refused();
    }

    /// <summary>
    /// The writer's thread waits for the next batch, which is everything that waits. It is empty if nothing came in time.
    /// </summary>
    /// <param name="patience">How long to wait. While storage fails it does not: the writer tries again.</param>
    /// <returns>Null when the server stops and nothing is left.</returns>
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

            _batch = TakeWaiting(next: _batch);
            (room, _room) = (_room, null);
        }

        room?.SetResult();
        return _batch;
    }

    /// <summary>The writer's thread leaves the disk alone, unless the server stops.</summary>
    public void Rest(TimeSpan pause)
    {
        lock (_gate)
        {
            if (!_stopping)
                Monitor.Wait(_gate, pause);
        }
    }

    /// <summary>From now on storage counts as failing.</summary>
    /// <returns>What was waiting, and does not any more: to be refused.</returns>
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

    /// <summary>A commit succeeded: storage does not count as failing any more.</summary>
    public void Succeed()
    {
        if (Fault is null)
            return;
        Volatile.Write(ref _fault, null);
        Log.StorageRecovered(log);
    }

    /// <summary>If anybody has waited too long, the disk does not answer, and storage counts as failing.</summary>
    /// <returns>What was waiting for it, the batch that is being written included: to be refused.</returns>
    public List<Write> FailIfOverdue()
    {
        List<Write> stuck;
        lock (_gate)
        {
            if (!_batch.Concat(_waiting).Any(write => time.GetElapsedTime(write.Since) >= Patience))
                return [];
            stuck = [.. _batch];
        }

        return [.. stuck, .. Fail("the disk does not answer in time.")];
    }

    /// <summary>Nothing is accepted any more. What waits is still taken.</summary>
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

    /// <summary>Under the gate.</summary>
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
