using System.Diagnostics;
using Microsoft.Data.Sqlite;

namespace SimpleChat;

/// <summary>
/// The one writer. It takes whatever is waiting, writes it in one transaction, commits once, and only then confirms, in commit order:
/// a durable commit costs the same for one message as for a hundred (group commit). No timer and no batch size to tune: while one batch
/// is being synced to disk, the next one gathers.
/// </summary>
internal sealed partial class MessageWriter : IHostedService, IDisposable
{
    /// <summary>
    /// Row operations that may wait (<see cref="PendingWrite.Cost"/>), and so those of one batch: it ends long before anybody's patience does. Beyond it
    /// senders wait, and with them only their own sockets.
    /// </summary>
    public const int Capacity = 32 * 1024;

    /// <summary>Row operations of one user that may wait, some milliseconds of work: what one user hands in holds up nobody else for longer.</summary>
    public const int CapacityPerUser = Capacity / 16;

    /// <summary>A sender is told "not known to be stored" after this long. Below the contract's 5 seconds by the time it takes to say so.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(4);

    /// <summary>After a failed commit the disk is left alone for so long.</summary>
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    /// <summary>While nobody writes the files are looked at so often: what somebody has done to them, or a reader has found in them, is told without being asked.</summary>
    private static readonly TimeSpan Look = TimeSpan.FromSeconds(1);

    private readonly ChatDatabase _database;
    private readonly ChatMetrics _metrics;
    private readonly TimeProvider _time;
    private readonly ILogger<MessageWriter> _log;
    private readonly Thread _thread;
    private readonly ITimer _watchdog;
    private readonly TaskCompletionSource _done = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly object _gate = new(); // a monitor: the thread waits on it

    // Under _gate, but for the writer's thread, which alone changes _batch and may read it freely. _fault is read without it too.
    private List<PendingWrite> _waiting = [];
    private List<PendingWrite> _batch = [];
    private int _waitingCost;
    private TaskCompletionSource? _room;
    private bool _stopping;
    private string? _fault;

    // The writer's thread alone.
    private readonly List<Receipt> _unsure = []; // of deliveries whose commit failed: they may be on disk all the same
    private MessageTransaction? _transaction;
    private long _lastCommitted;

    public MessageWriter(ChatDatabase database, ChatMetrics metrics, TimeProvider time, ILogger<MessageWriter> log)
    {
        (_database, _metrics, _time, _log) = (database, metrics, time, log);
        _thread = new Thread(Run) { IsBackground = true, Name = "SimpleChat writer" };
        _watchdog = time.CreateTimer(_ => RefuseOverdue(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        metrics.ObserveWaiting(() => _waiting.Count);
    }

    /// <summary>The highest id committed. Published before the messages themselves are: whoever reads it after registering for them misses none.</summary>
    public long LastCommitted => Volatile.Read(ref _lastCommitted);

    /// <summary>What is wrong with storage, in words; null as long as commits succeed in time.</summary>
    public string? Fault => Volatile.Read(ref _fault);

    /// <summary>
    /// Called after a fault, when the file was opened anew: a commit that was taken for failed may be on disk after all. What it holds up to
    /// <see cref="LastCommitted"/> is news to everyone, and so are these deliveries.
    /// </summary>
    public Action<List<Receipt>>? Reopened { get; set; }

    /// <summary>
    /// Waits for room, then hands over. Refuses by itself when there is none in time, and at once while storage is known to fail: of a client that sends many
    /// before it looks for answers, the last one waits no longer than the first.
    /// </summary>
    public async ValueTask EnqueueAsync(PendingWrite write)
    {
        write.Since = _time.GetTimestamp();
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

            var patience = Patience - _time.GetElapsedTime(write.Since);
            if (patience <= TimeSpan.Zero)
                break;
            await room.WaitAsync(patience, _time).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        write.Refused();
    }

    /// <summary>Opens the database and starts to write.</summary>
    /// <exception cref="StartException">The database cannot be served.</exception>
    public Task StartAsync(CancellationToken cancellationToken)
    {
        _database.Open();
        _database.Start(() => _transaction = new MessageTransaction(_database));
        _lastCommitted = _transaction!.LastId;
        _thread.Start();
        _watchdog.Change(TimeSpan.FromMilliseconds(250), TimeSpan.FromMilliseconds(250));
        return Task.CompletedTask;
    }

    /// <summary>Writes what is waiting, then lets go of the database. Nothing is accepted any more.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            _stopping = true;
            Monitor.Pulse(_gate);
        }

        if ((_thread.ThreadState & System.Threading.ThreadState.Unstarted) == 0)
            await _done.Task.WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    public void Dispose() => _watchdog.Dispose();

    private void Add(PendingWrite write)
    {
        var cost = write.Cost;
        _waiting.Add(write);
        _waitingCost += cost;
        if (write.Share is { } share)
            share.Waiting += cost;
        if (_waiting.Count == 1)
            Monitor.Pulse(_gate);
    }

    /// <summary>Under the gate: what is waiting, which now waits no more.</summary>
    private List<PendingWrite> TakeWaiting(List<PendingWrite> next)
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

    private void Run()
    {
        try
        {
            while (TakeBatch())
            {
                if (TryCommit(_batch))
                    continue;
                lock (_gate)
                {
                    if (!_stopping)
                        Monitor.Wait(_gate, Pause);
                }
            }

            _transaction?.Checkpoint();
        }
        catch (SqliteException e)
        {
            Log.StorageFailed(_log, ChatDatabase.Explain(e));
        }
        finally
        {
            _transaction?.Dispose();
            _done.SetResult();
        }
    }

    /// <summary>
    /// Swaps what is waiting for the emptied batch; if nothing comes, that is nothing. False when the server stops and nothing is left.
    /// </summary>
    private bool TakeBatch()
    {
        TaskCompletionSource? room;
        lock (_gate)
        {
            _batch.Clear();
            while (_waiting.Count == 0)
            {
                if (_stopping)
                    return false;
                if (_fault is not null || !Monitor.Wait(_gate, Look))
                    break;
            }

            _batch = TakeWaiting(next: _batch);
            (room, _room) = (_room, null);
        }

        room?.SetResult();
        return true;
    }

    /// <summary>Writes and commits the batch, then confirms each of its writes. False if storage failed.</summary>
    /// <param name="batch">The writes.</param>
    /// <param name="eachAlone">Whether a write that SQLite does not take is undone by itself; costs a savepoint each.</param>
    private bool TryCommit(List<PendingWrite> batch, bool eachAlone = false)
    {
        var started = Stopwatch.GetTimestamp();
        List<PendingWrite>? refused = null;
        try
        {
            _transaction ??= Reopen();
            if (batch.Count == 0 && Fault is null)
            {
                _database.RequireSound();
                return true;
            }

            _transaction.Begin();
            if (batch.Count == 0)
                _transaction.Touch();
            foreach (var write in batch)
            {
                if (!eachAlone)
                    write.Write(_transaction);
                else if (!_transaction.TryWrite(write, out var e))
                {
                    Log.WriteRefused(_log, e);
                    (refused ??= []).Add(write);
                }
            }

            _transaction.Commit();
        }
        catch (Exception e)
        {
            return Recover(batch, e, eachAlone);
        }

        _metrics.Commit(batch.Count, Stopwatch.GetElapsedTime(started));
        if (Fault is not null)
        {
            Volatile.Write(ref _fault, null);
            Log.StorageRecovered(_log);
        }

        Volatile.Write(ref _lastCommitted, _transaction.LastId);
        foreach (var write in batch)
            Answer(write, isCommitted: refused?.Contains(write) != true);
        return true;
    }

    /// <summary>Tells whoever waits for a write. A fault in there is that one's alone.</summary>
    private void Answer(PendingWrite write, bool isCommitted)
    {
        try
        {
            if (isCommitted)
                write.Committed();
            else
                write.Refused();
        }
        catch (Exception e)
        {
            Log.AnswerFailed(_log, e);
        }
    }

    /// <summary>
    /// After a failure: if storage is to blame, nobody's write is known to be stored, and what waits behind it will not be. If one of the writes is (one that
    /// SQLite will not take), they are written again, so that it fails nobody but itself.
    /// </summary>
    private bool Recover(List<PendingWrite> batch, Exception e, bool eachAlone)
    {
        var isStorage = _transaction is null || eachAlone || MessageTransaction.IsStorageFault(e);
        try
        {
            _transaction?.Rollback();
        }
        catch (SqliteException)
        {
            isStorage = true;
        }

        if (!isStorage)
            return TryCommit(batch, eachAlone: true);

        // What a failed COMMIT left on disk is for a fresh look at the file to say; see Reopen.
        _transaction?.Dispose();
        _transaction = null;
        foreach (var write in batch)
            _unsure.AddRange(write.Receipts);
        batch = [.. batch, .. Fail(e is SqliteException sqlite ? ChatDatabase.Explain(sqlite) : e.Message)];
        foreach (var write in batch)
            Answer(write, isCommitted: false);
        return false;
    }

    /// <summary>From now on storage counts as failing.</summary>
    /// <returns>What was waiting for it, and does not any more.</returns>
    private List<PendingWrite> Fail(string fault)
    {
        List<PendingWrite> waiting;
        TaskCompletionSource? room;
        lock (_gate)
        {
            if (_fault != fault)
                Log.StorageFailed(_log, fault);
            Volatile.Write(ref _fault, fault);
            waiting = TakeWaiting(next: []);
            (room, _room) = (_room, null);
        }

        room?.SetResult();
        return waiting;
    }

    /// <summary>A new connection after a fault.</summary>
    private MessageTransaction Reopen()
    {
        var transaction = new MessageTransaction(_database);
        try
        {
            var delivered = _unsure.FindAll(receipt => !transaction.IsInInbox(receipt.To, receipt.Id));
            Volatile.Write(ref _lastCommitted, transaction.LastId);
            Reopened?.Invoke(delivered);
            _unsure.Clear();
            return transaction;
        }
        catch
        {
            transaction.Dispose();
            throw;
        }
    }

    /// <summary>Answers whoever has waited too long, also while the writer itself is stuck in the disk. What stands behind it need not wait as long.</summary>
    private void RefuseOverdue()
    {
        List<PendingWrite> stuck;
        lock (_gate)
        {
            if (!_batch.Concat(_waiting).Any(write => _time.GetElapsedTime(write.Since) >= Patience))
                return;
            stuck = [.. _batch];
        }

        stuck.AddRange(Fail("the disk does not answer in time."));
        stuck.ForEach(write => Answer(write, isCommitted: false));
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Error, "Storage failed: {Fault} Senders are told, nothing is pushed; tried again until it works.")]
        public static partial void StorageFailed(ILogger log, string fault);

        [LoggerMessage(2, LogLevel.Information, "Storage works again.")]
        public static partial void StorageRecovered(ILogger log);

        [LoggerMessage(3, LogLevel.Error, "SQLite refused a single write; its sender is told, its neighbours are stored.")]
        public static partial void WriteRefused(ILogger log, Exception e);

        [LoggerMessage(4, LogLevel.Error, "Whoever waits for a write could not be told; the others are.")]
        public static partial void AnswerFailed(ILogger log, Exception e);
    }
}
