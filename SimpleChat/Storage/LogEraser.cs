using Dapper;
using Microsoft.Data.Sqlite;
using SimpleChat.Settings;

namespace SimpleChat.Storage;

/// <summary>
/// Empties SQLite's write-ahead log soon after a secret was deleted. The database no longer has the secret then, but the log still has the
/// old pages (https://sqlite.org/wal.html#ckpt). It uses a connection of its own, so that the writer goes on meanwhile.
/// </summary>
internal sealed class LogEraser : IDisposable
{
    /// <summary>
    /// The log is emptied this long after a deletion, so at most so often, however many secrets are deleted. If a reader prevents it, it is
    /// tried again after this time.
    /// </summary>
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(2);

    private readonly Func<SqliteConnection> _open;
    private readonly Lock _gate = new();
    private readonly Timer _timer;
    private bool _isDue, _isStopped; // under _gate

    public LogEraser(Func<SqliteConnection> open)
    {
        _open = open;
        _timer = new Timer(_ => EmptyLog());
    }

    /// <summary>Called when a secret's deletion was committed. Does not wait.</summary>
    public void Erase()
    {
        lock (_gate)
        {
            if (!_isDue && !_isStopped)
                _isDue = _timer.Change(Interval, Timeout.InfiniteTimeSpan);
        }
    }

    /// <summary>Stops it. The writer itself has emptied the log when it stopped.</summary>
    public void Dispose()
    {
        lock (_gate)
            _isStopped = true;
        _timer.DisposeAsync().AsTask().Wait();
    }

    private void EmptyLog()
    {
        lock (_gate)
            _isDue = false; // before the log is emptied: what is deleted meanwhile needs another time
        try
        {
            using var connection = _open();
            if (TryEmptyLog(connection))
                return;
        }
        catch (Exception e) when (e is SqliteException or StartException)
        {
            // Storage fails; the writer logs it.
        }

        Erase();
    }

    /// <summary>
    /// Copies most of the log while the writer goes on. The rest takes a moment, and only then the writer waits. Returns false if a reader
    /// is in the way, which delays the writer for 100 ms at most.
    /// </summary>
    public static bool TryEmptyLog(SqliteConnection connection)
    {
        connection.Execute("PRAGMA busy_timeout = 100; PRAGMA wal_checkpoint(PASSIVE)");
        return connection.QueryFirst<long>("PRAGMA wal_checkpoint(TRUNCATE)") == 0;
    }
}
