using Dapper;
using Microsoft.Data.Sqlite;
using SimpleChat.Storage;

namespace SimpleChat.Webhooks;

/// <summary>
/// Empties SQLite's write-ahead log soon after a secret was deleted: the file has lost it by then, but the log still holds the pages as
/// they were (https://sqlite.org/wal.html#ckpt). It has a connection of its own, so that the writer goes on meanwhile.
/// </summary>
internal sealed class WebhookEraser(Database database, TimeProvider time) : IDisposable
{
    /// <summary>
    /// The log is emptied once in this time, however many secrets go; if a reader is in the way, it is tried again after it.
    /// </summary>
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(2);

    private readonly Lock _gate = new();
    private readonly CancellationTokenSource _stop = new();

    // Under _gate.
    private Task _running = Task.CompletedTask;
    private bool _isWanted;

    /// <summary>A secret was deleted, and committed. Does not wait.</summary>
    public void Erase()
    {
        lock (_gate)
        {
            _isWanted = true;
            if (_running.IsCompleted && !_stop.IsCancellationRequested)
                _running = Task.Run(RunAsync);
        }
    }

    /// <summary>Ends it. The writer empties the log when it stops, too.</summary>
    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await _running;
    }

    public void Dispose() => _stop.Dispose();

    private async Task RunAsync()
    {
        while (IsWanted())
        {
            if (!TryEmptyLog())
                Erase();
            await Task.Delay(Interval, time, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
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

    /// <summary>Most of it while the writer writes; what is left takes a moment, and only then the writer waits.</summary>
    private bool TryEmptyLog()
    {
        try
        {
            using var connection = database.OpenForWriting();
            // Milliseconds: so long a reader in the way may hold up the writer.
            connection.Execute("PRAGMA busy_timeout = 100; PRAGMA wal_checkpoint(PASSIVE)");
            return connection.QueryFirst<long>("PRAGMA wal_checkpoint(TRUNCATE)") == 0;
        }
        catch (SqliteException)
        {
            return false; // storage fails; the core says so
        }
    }
}
