using System.Diagnostics;
using Dapper;
using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace SimpleChat.Storage;

/// <summary>
/// What statements found out about the file: nothing is confirmed while reads fail, or when it is damaged. Damage does not heal. But SQLite
/// reports a disk that cannot be read for a moment (EIO) as damage, so the whole file is looked through before damage is believed.
/// </summary>
/// <param name="readerConnectionString">How to open the file for reading.</param>
internal sealed class DamageWatch(string readerConnectionString)
{
    /// <summary>For so long after a read that failed, storage counts as failing. Whoever could not read tries again within it.</summary>
    private static readonly TimeSpan Unreadable = TimeSpan.FromSeconds(3);

    private string? _damage; // found by the check: the writer's thread alone
    private ReadFault? _suspicion, _unreadable;

    /// <summary>A statement failed, on any thread.</summary>
    public void Notice(SqliteException e)
    {
        if (e.SqliteErrorCode is raw.SQLITE_CORRUPT or raw.SQLITE_NOTADB || e.SqliteExtendedErrorCode == raw.SQLITE_IOERR_SHORT_READ)
            Volatile.Write(ref _suspicion, new ReadFault(e.SqliteExtendedErrorCode, Stopwatch.GetTimestamp()));
    }

    /// <summary>A reader's statement failed, on any thread.</summary>
    public void NoticeRead(SqliteException e)
    {
        Notice(e);
        if (e.SqliteErrorCode == raw.SQLITE_IOERR)
            Volatile.Write(ref _unreadable, new ReadFault(e.SqliteExtendedErrorCode, Stopwatch.GetTimestamp()));
    }

    /// <summary>Nobody has found damage, and reads work. On the writer's thread, with no transaction open.</summary>
    /// <exception cref="SqliteException">It is not so.</exception>
    public void RequireNone()
    {
        if (_damage is not null)
            throw new SqliteException(_damage, raw.SQLITE_CORRUPT);
        if (Volatile.Read(ref _unreadable) is { } unreadable && Stopwatch.GetElapsedTime(unreadable.At) < Unreadable)
            throw new SqliteException("Reading failed.", raw.SQLITE_IOERR, unreadable.Code);
        if (Volatile.Read(ref _suspicion) is not { } suspicion)
            return;
        if (Stopwatch.GetElapsedTime(suspicion.At) < Unreadable)
            throw new SqliteException("Something seems to be damaged.", raw.SQLITE_CORRUPT, suspicion.Code);
        Check();
        Interlocked.CompareExchange(ref _suspicion, null, suspicion);
    }

    /// <summary>
    /// Looks through the whole file, which takes as long as reading it does. What it finds stays: only a restart may serve the file again.
    /// </summary>
    /// <exception cref="SqliteException">It found damage, or cannot read.</exception>
    private void Check()
    {
        using var connection = new SqliteConnection(readerConnectionString);
        connection.Open();
        var found = connection.ExecuteScalar<string>("PRAGMA quick_check(1)");
        if (found == "ok")
            return;
        _damage = found;
        throw new SqliteException(found ?? "", raw.SQLITE_CORRUPT);
    }

    /// <param name="Code">SQLite's extended one.</param>
    /// <param name="At">When; <see cref="Stopwatch"/>.</param>
    private sealed record ReadFault(int Code, long At);
}
