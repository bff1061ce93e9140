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
    /// <summary>Writes that may wait. Enough for some commits of a busy server; beyond it senders wait, and with them only their own sockets.</summary>
    public const int Capacity = 8192;

    /// <summary>Bytes of text that may wait, so that large messages are bounded too.</summary>
    public const int TextCapacity = 16 * 1024 * 1024;

    /// <summary>A sender is told "not known to be stored" after this long. Below the contract's 5 seconds by the time it takes to say so.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(4);

    /// <summary>After a failed commit the disk is left alone for so long.</summary>
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

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
    private int _waitingText;
    private TaskCompletionSource? _room;
    private bool _stopping;
    private string? _fault;

    // The writer's thread alone.
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

    /// <summary>Called, in id order, with messages whose commit had been taken for failed and turned out to be on disk.</summary>
    public Action<Message>? Recovered { get; set; }

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
                if (_waiting.Count < Capacity && _waitingText < TextCapacity)
                {
                    Add(write);
                    return;
                }

                room = (_room ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
            }

            var patience = Patience - _time.GetElapsedTime(write.Since);
            if (patience <= TimeSpan.Zero)
                break;
            await Task.WhenAny(room, Task.Delay(patience, _time));
        }

        write.Refused();
    }

    /// <summary>Hands over at once, past the bound: for what there is at most one of per connection. When the writer has stopped it is forgotten.</summary>
    public void Enqueue(PendingWrite write)
    {
        write.Since = _time.GetTimestamp();
        lock (_gate)
        {
            if (!_stopping)
                Add(write);
        }
    }

    /// <summary>Opens the database and starts to write.</summary>
    /// <exception cref="StartException">The database cannot be served.</exception>
    public Task StartAsync(CancellationToken cancellationToken)
    {
        _database.Open();
        _transaction = new MessageTransaction(_database);
        _lastCommitted = _transaction.LastId;
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
        _waiting.Add(write);
        _waitingText += write.Size;
        if (_waiting.Count == 1)
            Monitor.Pulse(_gate);
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
    /// Swaps what is waiting for the emptied batch; while storage fails, also if that is nothing, to try whether it still does. False when the server stops and
    /// nothing is left.
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
                if (_fault is not null)
                    break;
                Monitor.Wait(_gate);
            }

            (_batch, _waiting) = (_waiting, _batch);
            _waitingText = 0;
            (room, _room) = (_room, null);
        }

        room?.SetResult();
        return true;
    }

    /// <summary>Writes and commits the batch, then confirms each of its writes. False if storage failed.</summary>
    private bool TryCommit(List<PendingWrite> batch)
    {
        var started = Stopwatch.GetTimestamp();
        try
        {
            _transaction ??= Reopen();
            _transaction.Begin();
            if (batch.Count == 0)
                _transaction.Touch();
            foreach (var write in batch)
                write.Write(_transaction);
            _transaction.Commit();
        }
        catch (Exception e)
        {
            return Recover(batch, e);
        }

        _metrics.Commit(batch.Count, Stopwatch.GetElapsedTime(started));
        if (Fault is not null)
        {
            Volatile.Write(ref _fault, null);
            Log.StorageRecovered(_log);
        }

        Volatile.Write(ref _lastCommitted, _transaction.LastId);
        foreach (var write in batch)
            write.Committed();
        return true;
    }

    /// <summary>
    /// After a failure: if storage is to blame, nobody's write is known to be stored, and what waits behind it will not be. If one of the writes is (one that
    /// SQLite will not take), each is tried alone, so that it fails nobody but itself.
    /// </summary>
    private bool Recover(List<PendingWrite> batch, Exception e)
    {
        var blame = (e as SqliteException)?.SqliteErrorCode;
        var isStorage = _transaction is null || blame is not (null or SQLitePCL.raw.SQLITE_CONSTRAINT or SQLitePCL.raw.SQLITE_TOOBIG or SQLitePCL.raw.SQLITE_MISMATCH);
        try
        {
            _transaction?.Rollback();
        }
        catch (SqliteException)
        {
            isStorage = true;
        }

        if (isStorage)
        {
            // What a failed COMMIT left on disk is for a fresh look at the file to say; see Reopen.
            _transaction?.Dispose();
            _transaction = null;
            batch = [.. batch, .. Fail(e is SqliteException sqlite ? ChatDatabase.Explain(sqlite) : e.Message)];
        }
        else if (batch.Count > 1)
        {
            foreach (var write in batch.ToArray())
                TryCommit([write]);
            return true;
        }
        else
        {
            Log.WriteRefused(_log, e);
        }

        foreach (var write in batch)
            write.Refused();
        return !isStorage;
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
            waiting = _waiting.FindAll(write => !write.IsPatient);
            _waiting.RemoveAll(write => !write.IsPatient);
            _waitingText = 0;
            (room, _room) = (_room, null);
        }

        room?.SetResult();
        return waiting;
    }

    /// <summary>A new connection after a fault. A commit that was taken for failed may be on disk after all: then it is news to everyone.</summary>
    private MessageTransaction Reopen()
    {
        var transaction = new MessageTransaction(_database);
        try
        {
            var recovered = transaction.ReadAfter(_lastCommitted);
            Volatile.Write(ref _lastCommitted, transaction.LastId);
            foreach (var message in recovered)
                Recovered?.Invoke(message);
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
        stuck.ForEach(write => write.Refused());
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Error, "Storage failed: {Fault} Senders are told, nothing is pushed; tried again until it works.")]
        public static partial void StorageFailed(ILogger log, string fault);

        [LoggerMessage(2, LogLevel.Information, "Storage works again.")]
        public static partial void StorageRecovered(ILogger log);

        [LoggerMessage(3, LogLevel.Error, "SQLite refused a single write; its sender is told, its neighbours are stored.")]
        public static partial void WriteRefused(ILogger log, Exception e);
    }
}
