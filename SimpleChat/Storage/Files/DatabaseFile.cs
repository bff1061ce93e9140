using Dapper;
using Microsoft.Data.Sqlite;
using SimpleChat.Settings;

namespace SimpleChat.Storage.Files;

/// <summary>
/// Is this file ours? Asked before anything is written, locked or made: a file that is not ours stays as it was, byte for byte, with
/// nothing beside it.
/// </summary>
internal static class DatabaseFile
{
    /// <summary>Mode 0600.</summary>
    public const UnixFileMode OwnerAlone = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private const UnixFileMode Others = UnixFileMode.OtherRead | UnixFileMode.OtherWrite | UnixFileMode.OtherExecute;

    private const UnixFileMode Writable = UnixFileMode.UserWrite | UnixFileMode.GroupWrite | UnixFileMode.OtherWrite;

    /// <summary>Looks at the file and its write-ahead log, and changes neither.</summary>
    /// <exception cref="StartException">They are not ours, or cannot be served; the message says why and what to do.</exception>
    /// <exception cref="SqliteException">They cannot be read.</exception>
    public static void RequireOurs(string path)
    {
        var log = new FileInfo(path + "-wal");
        var hasLog = log is { Exists: true, Length: > 0 };
        var file = new FileInfo(path);
        if (!file.Exists || file.Length == 0) // made by a server that was killed at once, or by touch; but then nothing was ever committed
        {
            if (Directory.Exists(path))
                throw new StartException($"{path} is a folder. Set ConnectionStrings:Chat to a file.");
            if (hasLog) // SQLite would delete it
                throw new StartException(
                    $"The database {path} is {(file.Exists ? "empty" : "not there")}, but its write-ahead log is. " +
                    $"Restore both, or move {log.FullName} away.");
            return;
        }

        if (!OperatingSystem.IsWindows() && (File.GetUnixFileMode(path) & Writable) == 0 || file.IsReadOnly)
            throw new StartException($"The database {path} is read-only; the server must be able to write to it.");
        RequireHeader(file);
        RequireSchema(path, hasLog);
    }

    /// <summary>
    /// Files that anybody on this machine may read or write become their owner's alone: older versions made them so, by the usual umask.
    /// One that is open to a group and to nobody else was made so by somebody, and stays.
    /// </summary>
    public static void CloseToOthers(string path)
    {
        if (OperatingSystem.IsWindows())
            return;
        foreach (var name in (string[])[path, path + "-wal", path + "-shm", path + ".lock"])
        {
            try
            {
                if (File.Exists(name) && (File.GetUnixFileMode(name) & Others) != 0)
                    File.SetUnixFileMode(name, OwnerAlone);
            }
            catch (UnauthorizedAccessException)
            {
                // It is somebody else's, who lets us write to it: theirs to close.
            }
        }
    }

    /// <summary>The first bytes (https://sqlite.org/fileformat2.html#the_database_header).</summary>
    private static void RequireHeader(FileInfo file)
    {
        Span<byte> magic = stackalloc byte[16];
        using var stream = new FileStream(file.FullName, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        if (stream.ReadAtLeast(magic, magic.Length, throwOnEndOfStream: false) < magic.Length
            || !magic.SequenceEqual("SQLite format 3\0"u8))
            throw new StartException(
                $"{file.FullName} is not a SQLite database. Set ConnectionStrings:Chat to another file, or move this one away.");
    }

    /// <summary>
    /// What tables are in it, read without a lock and without making a file: as a file that nobody changes, or, if its newest pages are in
    /// a write-ahead log, through a file system layer that knows no locks, in exclusive mode, where SQLite keeps the log's index in memory
    /// (https://sqlite.org/wal.html#noshm).
    /// </summary>
    private static void RequireSchema(string path, bool hasLog)
    {
        var way = !hasLog ? "immutable=1" : OperatingSystem.IsWindows() ? "vfs=win32-none" : "vfs=unix-none";
        var address = $"file:{Uri.EscapeDataString(path).Replace("%2F", "/", StringComparison.Ordinal)}?mode=ro&{way}";
        var settings = new SqliteConnectionStringBuilder { DataSource = address, Mode = SqliteOpenMode.ReadOnly, Pooling = false };
        using var connection = new SqliteConnection(settings.ConnectionString);
        connection.Open();
        connection.Execute("PRAGMA locking_mode = EXCLUSIVE");
        var (version, application) = connection.QuerySingle<(long, long)>(
            "SELECT (SELECT user_version FROM pragma_user_version), (SELECT application_id FROM pragma_application_id)");
        var tables = connection.Query<string>("SELECT name FROM sqlite_schema WHERE type = 'table'").ToHashSet();
        if (tables.Count == 0 && version == 0 && application == 0)
            return;
        if (!tables.IsSupersetOf(["MessageDB", "InboxDB"]) || version < 1)
            throw new StartException($"The database {path} holds tables of something else. Set ConnectionStrings:Chat to another file.");
        if (version > Database.SchemaVersion)
        {
            throw new StartException(
                $"The database {path} has schema version {version}, this server knows {Database.SchemaVersion}: " +
                "it was written by a newer one. Start that one, or another file.");
        }
    }
}
