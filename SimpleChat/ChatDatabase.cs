using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Dapper;
using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace SimpleChat;

/// <summary>
/// The SQLite file: locked for this process, looked at before it is served, given its schema (<c>chat.db.sql</c>) if it is new.
/// Hands out connections set up the one right way; whoever asks for one disposes of it.
/// </summary>
internal sealed class ChatDatabase : IDisposable
{
    /// <summary>The schema this server reads and writes: <c>PRAGMA user_version</c> in <c>chat.db.sql</c>.</summary>
    public const int SchemaVersion = 1;

    /// <summary>How long the writer waits for a stranger's lock (a <c>sqlite3</c> shell, a backup), in seconds; well below the 5 in which a sender is answered.</summary>
    private const int BusySeconds = 2;

    /// <summary>Older ones can corrupt a WAL that is checkpointed and written at once (https://sqlite.org/wal.html#walresetbug).</summary>
    private static readonly Version OldestSoundSqlite = new(3, 51, 3);

    /// <summary>SQLITE_FCNTL_HAS_MOVED (https://sqlite.org/c3ref/c_fcntl_begin_atomic_write.html).</summary>
    private const int HasMoved = 20;

    private readonly string _path;
    private readonly string _readerConnectionString;
    private readonly string _writerConnectionString;
    private FileStream? _lock;
    private SqliteConnection? _anchor; // runs no SQL; it stays on the file that was opened at start, whatever becomes of its name

    /// <param name="connectionString"><c>ConnectionStrings:Chat</c>.</param>
    /// <exception cref="StartException">It names no file.</exception>
    public ChatDatabase(string? connectionString)
    {
        SqliteConnectionStringBuilder settings;
        try
        {
            settings = new SqliteConnectionStringBuilder(connectionString);
        }
        catch (ArgumentException e)
        {
            throw new StartException($"ConnectionStrings:Chat cannot be read: {e.Message} Expected something like 'Data Source=chat.db'.", e);
        }

        if (settings.DataSource is "" or ":memory:" || settings.DataSource.StartsWith("file:", StringComparison.Ordinal) || settings.Mode == SqliteOpenMode.Memory)
            throw new StartException($"ConnectionStrings:Chat is '{connectionString}', which names no file; expected something like 'Data Source=chat.db'.");

        var file = new FileInfo(settings.DataSource);
        _path = file.LinkTarget is null ? file.FullName : file.ResolveLinkTarget(returnFinalTarget: true)!.FullName;
        settings.DataSource = _path;
        settings.DefaultTimeout = BusySeconds;

        settings.Mode = SqliteOpenMode.ReadWriteCreate;
        settings.Pooling = false;
        _writerConnectionString = settings.ConnectionString;

        settings.Mode = SqliteOpenMode.ReadOnly;
        settings.Pooling = true;
        _readerConnectionString = settings.ConnectionString;
    }

    /// <summary>Takes the file for this process and makes sure that it can be served: sound, ours, writable, with the schema in it.</summary>
    /// <exception cref="StartException">It cannot; the message says why and what to do.</exception>
    public void Open()
    {
        try
        {
            Lock();
            Look();
            using var connection = OpenWriter();
            ApplySchema(connection);
            // Recovers what a killed server left in the WAL, and proves that the file can be written.
            connection.Execute("PRAGMA wal_checkpoint(TRUNCATE)");
            connection.Execute("SELECT max(Id) FROM MessageDB; SELECT count(*) FROM (SELECT 1 FROM InboxDB LIMIT 1)");
            if (new FileInfo(_path).Length < connection.QuerySingle<long>("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"))
                throw new StartException($"The database {_path} is truncated. Restore it from a backup, or move it away to start with an empty one.");
            _anchor = new SqliteConnection(_writerConnectionString);
            _anchor.Open();
        }
        catch (SqliteException e)
        {
            throw new StartException($"The database {_path} cannot be used: {Explain(e)}", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new StartException($"The database {_path} cannot be used: {e.Message}", e);
        }
    }

    /// <summary>The writer's connection: there is one at a time. Durable on commit, its pragmas read back.</summary>
    public SqliteConnection OpenWriter()
    {
        RequireInPlace();
        var connection = new SqliteConnection(_writerConnectionString);
        try
        {
            connection.Open();
            SetPragma(connection, "busy_timeout", (1000 * BusySeconds).ToString(CultureInfo.InvariantCulture));
            SetPragma(connection, "journal_mode", "wal");
            SetPragma(connection, "synchronous", "2"); // FULL: a commit returns after the fsync, so what is confirmed survives a power cut
            SetPragma(connection, "wal_autocheckpoint", "16000"); // pages, 64 MB: a page that changes often is written back once, not in each of many checkpoints
            SetPragma(connection, "journal_size_limit", "67108864"); // a WAL that grew under a long read shrinks back
            SetPragma(connection, "cache_size", "-65536"); // 64 MiB, so that the indexes' hot pages stay in memory
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    /// <summary>A reader's connection, pooled. It sees the last commit, and neither waits for the writer nor holds it up; keep it for one short read.</summary>
    public SqliteConnection OpenReader()
    {
        RequireInPlace();
        var connection = new SqliteConnection(_readerConnectionString);
        try
        {
            connection.Open();
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    /// <summary>
    /// The name still leads to the file that was opened at start. Once that is moved away or deleted, writing to it would still succeed, and whoever opens the
    /// name would find another file, or make one.
    /// </summary>
    /// <exception cref="SqliteException">It does not.</exception>
    public void RequireInPlace()
    {
        if (_anchor is not null && FileControl(_anchor.Handle!, 0, HasMoved, out var moved) == raw.SQLITE_OK && moved != 0)
            throw new SqliteException("The database file has moved.", raw.SQLITE_READONLY, raw.SQLITE_READONLY_DBMOVED);
    }

    /// <summary>Lets go of the file. Call it after everybody who had a connection is done.</summary>
    public void Dispose()
    {
        using (var connection = new SqliteConnection(_readerConnectionString))
            SqliteConnection.ClearPool(connection);
        _anchor?.Dispose();
        _lock?.Dispose();
    }

    /// <summary>What is wrong, in words, for the codes that an operator can do something about (https://sqlite.org/rescode.html).</summary>
    public static string Explain(SqliteException e) => e.SqliteErrorCode switch
    {
        raw.SQLITE_FULL => "the disk is full.",
        raw.SQLITE_READONLY when e.SqliteExtendedErrorCode == raw.SQLITE_READONLY_DBMOVED =>
            "it was moved away, deleted or replaced while in use. Put it back, or restart the server with the one that is there.",
        raw.SQLITE_READONLY => "it is read-only; the server must be able to write to it and to its folder.",
        raw.SQLITE_BUSY or raw.SQLITE_LOCKED => "another process has locked it.",
        raw.SQLITE_CANTOPEN => "it cannot be opened; the folder must exist, and the server must be able to write to it.",
        raw.SQLITE_NOTADB => "it is not a SQLite database.",
        raw.SQLITE_CORRUPT => "it is damaged or truncated. Restore it from a backup, or move it away to start with an empty one.",
        raw.SQLITE_IOERR => $"reading or writing failed (SQLite code {e.SqliteExtendedErrorCode}).",
        _ => $"{e.Message.ReplaceLineEndings(" ")} (code {e.SqliteExtendedErrorCode}).",
    };

    /// <summary>
    /// An operating-system lock on a file beside the database: it goes with the process, however that ends. On a file of its own, because
    /// SQLite's own locks on the database would be dropped with any other handle to it that this process closes.
    /// </summary>
    private void Lock()
    {
        try
        {
            _lock = new FileStream(_path + ".lock", FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException e) when (e is not (FileNotFoundException or DirectoryNotFoundException))
        {
            throw new StartException($"The database {_path} is in use by another server. Stop that one, or set ConnectionStrings:Chat to another file.", e);
        }
    }

    /// <summary>What SQLite itself accepts without a word and would serve: looked at before it opens the file.</summary>
    private void Look()
    {
        var file = new FileInfo(_path);
        if (!file.Exists)
            return;
        if (!OperatingSystem.IsWindows() && (File.GetUnixFileMode(_path) & (UnixFileMode.UserWrite | UnixFileMode.GroupWrite | UnixFileMode.OtherWrite)) == 0 || file.IsReadOnly)
            throw new StartException($"The database {_path} is read-only; the server must be able to write to it.");

        if (file.Length == 0) // made by a server that was killed at once, or by touch; but then nothing was ever committed
        {
            if (new FileInfo(_path + "-wal") is { Exists: true, Length: > 0 })
                throw new StartException($"The database {_path} is empty, but its write-ahead log is not: the file was truncated. Restore both from a backup.");
            return;
        }

        Span<byte> magic = stackalloc byte[16];
        using var stream = file.OpenRead();
        if (stream.ReadAtLeast(magic, magic.Length, throwOnEndOfStream: false) < magic.Length || !magic.SequenceEqual("SQLite format 3\0"u8))
            throw new StartException($"{_path} is not a SQLite database. Set ConnectionStrings:Chat to another file, or move this one away.");
    }

    private void ApplySchema(SqliteConnection connection)
    {
        if (!Version.TryParse(connection.ServerVersion, out var version) || version < OldestSoundSqlite)
            throw new StartException($"SQLite {connection.ServerVersion} is too old: {OldestSoundSqlite} or newer is needed. Update the package SQLitePCLRaw.lib.e_sqlite3.");

        var found = connection.QuerySingle<long>("PRAGMA user_version");
        if (found > SchemaVersion)
            throw new StartException($"The database {_path} has schema version {found}, this server knows {SchemaVersion}: it was written by a newer one. Start that one, or another file.");
        if (found == SchemaVersion)
            return;
        if (connection.QuerySingle<long>("SELECT count(*) FROM sqlite_schema") > 0)
            throw new StartException($"The database {_path} holds tables of something else. Set ConnectionStrings:Chat to another file.");

        using var stream = typeof(ChatDatabase).Assembly.GetManifestResourceStream("chat.db.sql")!;
        using var reader = new StreamReader(stream, Encoding.UTF8);
        connection.Execute($"BEGIN IMMEDIATE;\n{reader.ReadToEnd()}\nCOMMIT;");
    }

    private void SetPragma(SqliteConnection connection, string name, string value)
    {
        connection.Execute($"PRAGMA {name} = {value}");
        var actual = Convert.ToString(connection.ExecuteScalar($"PRAGMA {name}"), CultureInfo.InvariantCulture);
        if (actual != value)
            throw new StartException($"The database {_path} does not take PRAGMA {name} = {value}; it stays {actual}. Put it on a local file system.");
    }

    [DllImport("e_sqlite3", EntryPoint = "sqlite3_file_control")]
    private static extern int FileControl(sqlite3 connection, nint database, int operation, out int result);
}
