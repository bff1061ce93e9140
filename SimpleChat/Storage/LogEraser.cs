using System.Threading.Channels;
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
    /// The log is emptied at most once in this time, however many secrets are deleted. If a reader prevents it, it is tried again after
    /// this time.
    /// </summary>
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(2);

    private readonly Channel<bool> _wanted =
        Channel.CreateBounded<bool>(new BoundedChannelOptions(capacity: 1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly CancellationTokenSource _stop = new();
    private readonly Func<SqliteConnection> _open;
    private readonly Task _running;

    /// <param name="open">Opens a connection that may write.</param>
    public LogEraser(Func<SqliteConnection> open)
    {
        _open = open;
        _running = Task.Run(RunAsync);
    }

    /// <summary>Called when a secret's deletion was committed. Does not wait.</summary>
    public void Erase() => _wanted.Writer.TryWrite(true);

    /// <summary>Stops it. The writer itself has emptied the log when it stopped.</summary>
    public void Dispose()
    {
        _stop.Cancel();
        _wanted.Writer.Complete();
        _running.Wait();
        _stop.Dispose();
    }

    private async Task RunAsync()
    {
        while (await _wanted.Reader.WaitToReadAsync() && !_stop.IsCancellationRequested)
        {
            _wanted.Reader.TryRead(out _);
            if (!TryEmptyLog())
                Erase();
            await Task.Delay(Interval, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Copies most of the log while the writer goes on. The rest takes a moment, and only then the writer waits.</summary>
    private bool TryEmptyLog()
    {
        try
        {
            using var connection = _open();
            // In milliseconds: a reader that is in the way delays the writer for no longer.
            connection.Execute("PRAGMA busy_timeout = 100; PRAGMA wal_checkpoint(PASSIVE)");
            return connection.QueryFirst<long>("PRAGMA wal_checkpoint(TRUNCATE)") == 0;
        }
        catch (Exception e) when (e is SqliteException or StartException)
        {
            return false; // storage fails; the writer logs it
        }
    }
}
