using Dapper;
using Microsoft.Data.Sqlite;

namespace SimpleChat.Storage;

/// <summary>
/// Empties SQLite's write-ahead log soon after a secret was deleted. The database no longer has the secret then, but the log still has the
/// old pages (https://sqlite.org/wal.html#ckpt). It uses a connection of its own, so that the writer goes on meanwhile.
/// </summary>
/// <param name="open">Opens a connection that may write.</param>
internal sealed class LogEraser(Func<SqliteConnection> open) : IDisposable
{
    /// <summary>
    /// The log is emptied at most once in this time, however many secrets are deleted. If a reader prevents it, it is tried again after
    /// this time.
    /// </summary>
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(2);

    private readonly Lock _gate = new();
    private readonly CancellationTokenSource _stop = new();

    // Guarded by _gate.
    private Task _running = Task.CompletedTask;
    private bool _isWanted;

    /// <summary>Called when a secret's deletion was committed. Does not wait.</summary>
    public void Erase()
    {
        lock (_gate)
        {
            _isWanted = true;
            if (_running.IsCompleted && !_stop.IsCancellationRequested)
                _running = Task.Run(RunAsync);
        }
    }

    /// <summary>Stops it. The writer itself has emptied the log when it stopped.</summary>
    public void Dispose()
    {
        _stop.Cancel();
        Task running;
        lock (_gate)
            running = _running;
        running.Wait();
        _stop.Dispose();
    }

    private async Task RunAsync()
    {
        while (IsWanted())
        {
            if (!TryEmptyLog())
                Erase();
            await Task.Delay(Interval, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private bool IsWanted()
    {
        lock (_gate)
        {
            (var wanted, _isWanted) = (_isWanted && !_stop.IsCancellationRequested, false);
            if (!wanted)
                _running = Task.CompletedTask;
            return wanted;
        }
    }

    /// <summary>Copies most of the log while the writer goes on. The rest takes a moment, and only then the writer waits.</summary>
    private bool TryEmptyLog()
    {
        try
        {
            using var connection = open();
            // In milliseconds: a reader that is in the way delays the writer for no longer.
            connection.Execute("PRAGMA busy_timeout = 100; PRAGMA wal_checkpoint(PASSIVE)");
            return connection.QueryFirst<long>("PRAGMA wal_checkpoint(TRUNCATE)") == 0;
        }
        catch (SqliteException)
        {
            return false; // storage fails; the writer logs it
        }
    }
}
