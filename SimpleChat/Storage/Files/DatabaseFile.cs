using Dapper;
using Microsoft.Data.Sqlite;
using SimpleChat.Settings;

namespace SimpleChat.Storage.Files;

/// <summary>
/// Checks that a file is a database of this server, before the server writes, locks or creates anything. If it is not, it stays as it was,
/// byte for byte, and no file appears beside it.
/// </summary>
internal static class DatabaseFile
{
    /// <summary>Only the owner may read and write (mode 0600).</summary>
    private const UnixFileMode OwnerAlone = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private const UnixFileMode Others = UnixFileMode.OtherRead | UnixFileMode.OtherWrite | UnixFileMode.OtherExecute;

    private const UnixFileMode Writable = UnixFileMode.UserWrite | UnixFileMode.GroupWrite | UnixFileMode.OtherWrite;

    /// <summary>Checks the file and its write-ahead log, and changes neither.</summary>
    /// <exception cref="StartException">They are not ours, or cannot be served; the message says why and what to do.</exception>
    /// <exception cref="SqliteException">They cannot be read.</exception>
    public static void RequireOurs(string path)
    {
        var log = new FileInfo(path + "-wal");
        var hasLog = log is { Exists: true, Length: > 0 };
        var file = new FileInfo(path);
        // An empty file is from a server that was killed at once, or from touch. Nothing was ever committed to it.
        if (!file.Exists || file.Length == 0)
        {
            if (Directory.Exists(path))
                throw new StartException($"{path} is a folder. Set ConnectionStrings:Chat to a file.");
            if (hasLog) // SQLite would delete the log
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

    /// <summary>How to open a file that, if it is created, is for its owner alone.</summary>
    public static FileStreamOptions ForOwnerAlone(FileMode mode, FileShare share)
    {
        var options = new FileStreamOptions { Mode = mode, Access = FileAccess.ReadWrite, Share = share };
        if (!OperatingSystem.IsWindows())
            options.UnixCreateMode = OwnerAlone;
        return options;
    }

    /// <summary>
    /// Closes the files to other users of this machine (mode 0600), if everybody may read or write them. Older versions created them so, by
    /// the usual umask. If only a group may use a file, somebody has decided that, and the file stays as it is.
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
                // Another user owns the file and lets the server write to it. Only that user can change its mode.
            }
        }
    }

    /// <summary>Checks the file's first bytes (https://sqlite.org/fileformat2.html#the_database_header).</summary>
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
    /// Checks the tables, without a lock and without creating a file. Without a write-ahead log, SQLite opens the database as immutable.
    /// With one, SQLite opens it in exclusive mode, through a file system layer without locks. In that mode SQLite keeps the log's index in
    /// memory (https://sqlite.org/wal.html#noshm).
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
            throw new StartException(
                $"The database {path} has schema version {version}, this server knows {Database.SchemaVersion}: " +
                "it was written by a newer one. Start that one, or another file.");
    }
}
