using System.Diagnostics;
using Dapper;
using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace SimpleChat.Storage;

/// <summary>
/// Collects what failed statements say about the file. While reads fail, or once the file is damaged, the server confirms nothing. SQLite
/// also reports damage when the disk cannot be read for a moment (EIO). So the whole file is checked before the server believes it. Damage
/// that the check finds is final.
/// </summary>
internal sealed class DamageWatch(string readerConnectionString)
{
    /// <summary>
    /// Storage counts as failing for this long after a failed read. Whoever could not read tries again before it is over.
    /// </summary>
    private static readonly TimeSpan Unreadable = TimeSpan.FromSeconds(3);

    private string? _damage; // what the check found; used by the writer's thread alone
    private ReadFault? _suspicion, _unreadable;

    /// <summary>Called when a statement failed, on any thread.</summary>
    public void Notice(SqliteException e)
    {
        if (e.SqliteErrorCode is raw.SQLITE_CORRUPT or raw.SQLITE_NOTADB || e.SqliteExtendedErrorCode == raw.SQLITE_IOERR_SHORT_READ)
            Volatile.Write(ref _suspicion, new ReadFault(e.SqliteExtendedErrorCode, Stopwatch.GetTimestamp()));
    }

    /// <summary>Called when a reader's statement failed, on any thread.</summary>
    public void NoticeRead(SqliteException e)
    {
        Notice(e);
        if (e.SqliteErrorCode == raw.SQLITE_IOERR)
            Volatile.Write(ref _unreadable, new ReadFault(e.SqliteExtendedErrorCode, Stopwatch.GetTimestamp()));
    }

    /// <summary>
    /// Checks that no statement has found damage, and that reads work. Called on the writer's thread, with no transaction open.
    /// </summary>
    /// <exception cref="SqliteException">The file is damaged, or reads fail.</exception>
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
    /// Checks the whole file, which takes as long as reading it. If it finds damage, only a restart may serve the file again.
    /// </summary>
    /// <exception cref="SqliteException">The file is damaged, or cannot be read.</exception>
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

    /// <param name="Code">SQLite's extended error code.</param>
    /// <param name="At">When it happened: a <see cref="Stopwatch"/> timestamp.</param>
    private sealed record ReadFault(int Code, long At);
}
