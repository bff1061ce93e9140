using System.Diagnostics;
using SimpleChat.Limits;
using SimpleChat.Monitoring;
using SimpleChat.Settings;

namespace SimpleChat.Storage;

/// <summary>
/// The only writer. It takes every write that waits, stores them in one transaction, and commits once. Only then it confirms them, in
/// commit order. This is group commit: a durable commit costs the same for one message as for a hundred. No timer delays a commit, and
/// there is no batch size to tune. While one batch goes to disk, the next one gathers.
/// </summary>
internal sealed partial class Writer(IDatabase database, Metrics metrics, Traces traces, TimeProvider time, ILogger<Writer> log)
    : IHostedService, IDisposable
{
    /// <summary>How long the writer pauses after a failed commit.</summary>
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    /// <summary>How often the writer checks the files while nobody writes. So a fault is noticed before somebody sends a message.</summary>
    private static readonly TimeSpan Look = TimeSpan.FromSeconds(1);

    /// <summary>The most writes of a batch that are refused one by one. Each costs the whole batch once more.</summary>
    private const int MaxRefused = 16;

    /// <summary>How often the watchdog looks for writes that have waited too long.</summary>
    private static readonly TimeSpan Watch = TimeSpan.FromMilliseconds(250);

    private readonly WriteQueue _queue = new(time, log);
    private readonly TaskCompletionSource _done = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private ITimer? _watchdog; // refuses late writes even while the writer's thread waits for the disk

    // Used by the writer's thread alone.
    private readonly HashSet<Write> _refused = []; // writes of the batch that the database refused
    private readonly Queue<Write> _unsure = []; // their commit failed, but they may be on disk
    private ITransaction? _transaction;
    private long _lastCommitted;

    /// <summary>
    /// The highest id committed. It is set before the messages are offered to connections. So a connection that joins the map and then
    /// reads this misses none.
    /// </summary>
    public long LastCommitted => Volatile.Read(ref _lastCommitted);

    /// <summary>Says in words what is wrong with storage; null if commits succeed in time.</summary>
    public string? Fault => _queue.Fault;

    /// <summary>Called after a fault. A commit that seemed to fail may be on disk after all, up to <see cref="LastCommitted"/>.</summary>
    public Action? Recovered { get; set; }

    /// <summary>Called on the writer's thread when all writes of a batch were confirmed. Must not wait.</summary>
    public Action? Confirmed { get; set; }

    /// <summary>Enqueues a write. It is stored, or refused within <see cref="WriteQueue.Patience"/>.</summary>
    public ValueTask EnqueueAsync(Write write) => _queue.EnqueueAsync(write);

    /// <summary>Enqueues a change, and waits for it. True if it is on disk, false if that is not known.</summary>
    public async Task<bool> WriteAsync(Action<ITransaction> apply, int cost = 1, UserShare? share = null, Action? committed = null)
    {
        var write = new AwaitedWrite(apply, cost, share, committed);
        await EnqueueAsync(write);
        return await write.Written;
    }

    /// <summary>Opens the database and starts to write.</summary>
    /// <exception cref="StartException">The database cannot be served.</exception>
    public Task StartAsync(CancellationToken cancellationToken)
    {
        _transaction = database.Open();
        _lastCommitted = _transaction.LastId;
        metrics.ObserveWaiting(() => _queue.Count);
        new Thread(Run) { IsBackground = true, Name = "SimpleChat writer" }.Start();
        _watchdog = time.CreateTimer(_ => Refuse(_queue.FailIfOverdue()), null, Watch, Watch);
        return Task.CompletedTask;
    }

    /// <summary>Refuses further writes, stores those that wait, and closes the database.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        _queue.Stop();
        if (_watchdog is not null) // it was started
            await _done.Task.WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    public void Dispose() => _watchdog?.Dispose();

    private void Run()
    {
        try
        {
            while (_queue.Take(Look) is { } batch)
            {
                if (!TryCommit(batch))
                    _queue.Rest(Pause);
            }

            _transaction?.Finish();
        }
        catch (Exception e) when (StorageFault.Is(e))
        {
            Log.LastCheckpointFailed(log, StorageFault.Explain(e));
        }
        finally
        {
            _transaction?.Dispose();
            _done.SetResult();
        }
    }

    /// <summary>Stores and commits the batch, then answers each of its writes. Returns false if storage failed.</summary>
    private bool TryCommit(List<Write> batch)
    {
        var started = Stopwatch.GetTimestamp();
        CommitTrace? trace = null;
        try
        {
            _transaction ??= Reopen();
            if (batch.Count == 0 && Fault is null)
            {
                database.RequireSound();
                return true;
            }

            trace = traces.BeginCommit(batch.Count);
            Apply(batch, _transaction);
            if (batch.Count == 0)
                _transaction.Touch();
            _transaction.Commit();
        }
        catch (Exception e)
        {
            trace?.Failed(e);
            Fail(batch, e);
            return false;
        }

        trace?.Committed();
        metrics.Commit(batch.Count, Stopwatch.GetElapsedTime(started));
        _queue.Succeed();
        Volatile.Write(ref _lastCommitted, _transaction.LastId);
        foreach (var write in batch)
        {
            var isStored = !_refused.Contains(write);
            if (isStored && trace is not null)
                write.Trace(trace);
            Answer(write, isStored);
            trace?.Answered();
        }

        Confirmed?.Invoke();
        return true;
    }

    /// <summary>
    /// Begins a transaction and applies the batch. If the database refuses a write, all are undone and applied again: somebody may have
    /// written past this server. What is refused then is left out. With many of those, the database itself is at fault.
    /// </summary>
    private void Apply(List<Write> batch, ITransaction transaction)
    {
        var isRepeated = false;
        _refused.Clear();
        transaction.Begin();
        for (var i = 0; i < batch.Count; i++)
        {
            if (_refused.Contains(batch[i]))
                continue;
            try
            {
                batch[i].Apply(transaction);
            }
            catch (Exception e) when (_refused.Count < MaxRefused && !transaction.IsStorageFault(e))
            {
                if (isRepeated)
                {
                    Log.WriteRefused(log, e);
                    _refused.Add(batch[i]);
                }

                transaction.Rollback();
                transaction.Begin();
                (isRepeated, i) = (true, -1);
            }
        }
    }

    /// <summary>Storage failed: closes the connection, and refuses the batch and every write that waits.</summary>
    private void Fail(List<Write> batch, Exception e)
    {
        // A failed COMMIT may have reached the disk. The next connection will see it.
        _transaction?.Dispose();
        _transaction = null;
        foreach (var write in batch)
            _unsure.Enqueue(write);
        Refuse([.. batch, .. _queue.Fail(StorageFault.Explain(e))]);
    }

    private ITransaction Reopen()
    {
        var transaction = database.Reopen();
        try
        {
            Volatile.Write(ref _lastCommitted, transaction.LastId);
            Recovered?.Invoke();
            while (_unsure.TryPeek(out var write))
            {
                write.Recover(transaction);
                _unsure.Dequeue();
            }

            return transaction;
        }
        catch
        {
            transaction.Dispose();
            throw;
        }
    }

    private void Refuse(List<Write> writes) => writes.ForEach(write => Answer(write, isStored: false));

    /// <summary>Answers a write. If that throws, only this write is affected.</summary>
    private void Answer(Write write, bool isStored)
    {
        try
        {
            if (isStored)
                write.Committed();
            else
                write.Unconfirmed();
        }
        catch (Exception e)
        {
            Log.AnswerFailed(log, e);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(3, LogLevel.Error, "The database refused a single write; its sender is told, its neighbours are stored.")]
        public static partial void WriteRefused(ILogger log, Exception e);

        [LoggerMessage(4, LogLevel.Error, "Whoever waits for a write could not be told; the others are.")]
        public static partial void AnswerFailed(ILogger log, Exception e);

        [LoggerMessage(5, LogLevel.Error, "The last checkpoint failed: {Fault} The next start makes up for it.")]
        public static partial void LastCheckpointFailed(ILogger log, string fault);
    }
}
