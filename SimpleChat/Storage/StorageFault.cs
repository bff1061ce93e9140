using System.Data.Common;
using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace SimpleChat.Storage;

/// <summary>Tells a fault of storage from other exceptions, and explains it.</summary>
internal static class StorageFault
{
    /// <summary>Whether storage caused the exception. Every database's exceptions are of this kind.</summary>
    public static bool Is(Exception e) => e is DbException;

    /// <summary>Says in words what is wrong, and what an operator can do (https://sqlite.org/rescode.html).</summary>
    public static string Explain(Exception e) => e is not SqliteException sqlite ? e.Message : sqlite.SqliteErrorCode switch
    {
        raw.SQLITE_FULL => "the disk is full.",
        raw.SQLITE_READONLY when sqlite.SqliteExtendedErrorCode == raw.SQLITE_READONLY_DBMOVED => e.Message, // OpenedFiles says more
        raw.SQLITE_READONLY => "it is read-only; the server must be able to write to it and to its folder.",
        raw.SQLITE_BUSY or raw.SQLITE_LOCKED => "another process has locked it.",
        raw.SQLITE_CANTOPEN => "it cannot be opened; the folder must exist, and the server must be able to write to it.",
        raw.SQLITE_NOTADB => "it is not a SQLite database.",
        raw.SQLITE_CORRUPT =>
            "it is damaged or truncated. Stop the server and restore it from a backup, or move it away to start with an empty one.",
        raw.SQLITE_IOERR => $"reading or writing failed (SQLite code {sqlite.SqliteExtendedErrorCode}).",
        _ => $"{e.Message.ReplaceLineEndings(" ")} (code {sqlite.SqliteExtendedErrorCode}).",
    };
}
