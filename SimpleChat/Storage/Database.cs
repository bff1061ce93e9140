using System.Globalization;
using System.Text;
using Dapper;
using Microsoft.Data.Sqlite;
using SimpleChat.Settings;
using SimpleChat.Storage.Files;

namespace SimpleChat.Storage;

/// <summary>
/// The SQLite file. At the start the server locks it, checks it, and creates the schema (<c>chat.db.sql</c>) if it is missing. Then it
/// opens connections, each with the same pragmas. Whoever asks for a connection disposes of it.
/// </summary>
internal sealed class Database : IDatabase, IDisposable
{
    /// <summary>The schema this server reads and writes: <c>PRAGMA user_version</c> in <c>chat.db.sql</c>.</summary>
    public const int SchemaVersion = 2;

    /// <summary>
    /// Older versions can corrupt a WAL that is checkpointed and written at the same time (https://sqlite.org/wal.html#walresetbug).
    /// </summary>
    private static readonly Version OldestSoundSqlite = new(3, 51, 3);

    private readonly DatabaseAddress _address;
    private readonly DamageWatch _damage;
    private DatabaseLock? _lock;
    private readonly LogEraser _eraser;
    private OpenedFiles? _files;
    private bool _isDisposed;

    /// <param name="connectionString"><c>ConnectionStrings:Chat</c>.</param>
    /// <exception cref="StartException">It names no file, or one that cannot be written.</exception>
    public Database(string? connectionString)
    {
        _address = DatabaseAddress.Parse(connectionString);
        _damage = new DamageWatch(_address.Reader);
        _eraser = new LogEraser(OpenForWriting);
    }

    public string Path => _address.Path;

    /// <summary>
    /// Locks the file for this process. Then checks that it can be served: undamaged, ours, writable, and with the schema in it.
    /// </summary>
    /// <exception cref="StartException">The file cannot be served; the message says why and what to do.</exception>
    public ITransaction Open()
    {
        try
        {
            _lock = DatabaseLock.TakeIfThere(_address.Path);
            DatabaseFile.RequireOurs(_address.Path);
            _lock.Take();
            DatabaseFile.CloseToOthers(_address.Path);
            using (var connection = OpenWriter())
                Prepare(connection);
            _files = new OpenedFiles(_address.Path, _address.Writer);
            return new Transaction(this);
        }
        catch (Exception e) when (e is not StartException)
        {
            throw new StartException($"The database {_address.Path} cannot be used: {StorageFault.Explain(e)}", e);
        }
    }

    public ITransaction Reopen() => new Transaction(this);

    /// <summary>Empties the write-ahead log soon. Called when the deletion of a secret was committed.</summary>
    public void EmptyLogSoon() => _eraser.Erase();

    /// <summary>
    /// Opens the writer's connection. There is one at a time, on the writer's thread. A commit on it is durable: every pragma is read back.
    /// </summary>
    public SqliteConnection OpenWriter()
    {
        RequireSound();
        return OpenForWriting();
    }

    /// <summary>Opens a connection that may write, for a checkpoint beside the writer. Any thread may call it.</summary>
    public SqliteConnection OpenForWriting()
    {
        _files?.RequireInPlace();
        var connection = new DatabaseConnection(_address.Writer, _damage.Notice);
        try
        {
            connection.Open();
            SetPragma(connection, "busy_timeout", (1000 * DatabaseAddress.BusySeconds).ToString(CultureInfo.InvariantCulture));
            SetPragma(connection, "journal_mode", "wal");
            // FULL: a commit returns after the fsync, so that confirmed messages survive a power cut.
            SetPragma(connection, "synchronous", "2");
            // In pages, about 64 MB: with few checkpoints, a page that changes often is written back once.
            SetPragma(connection, "wal_autocheckpoint", "16000");
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

    /// <summary>
    /// Opens a reader's connection, out of a pool. It sees the last commit. It does not wait for the writer, nor the writer for it. Keep it
    /// for one short read.
    /// </summary>
    public SqliteConnection OpenReader()
    {
        _files?.RequireInPlace();
        var connection = new DatabaseConnection(_address.Reader, _damage.NoticeRead);
        connection.Open(); // closes what it opened if it throws
        return connection;
    }

    /// <summary>
    /// Checks that a restart would find what was committed. The files must be those that were opened at the start. Nobody else may have
    /// written into them, and no statement may have found damage. Otherwise nothing may be confirmed. Called on the writer's thread, with
    /// no transaction open.
    /// </summary>
    /// <exception cref="SqliteException">The check failed; <see cref="StorageFault.Explain"/> says why and what to do.</exception>
    public void RequireSound()
    {
        _damage.RequireNone();
        try
        {
            _files?.RequireUntouched();
        }
        catch (SqliteException)
        {
            _files!.Save();
            throw;
        }
    }

    /// <summary>Closes and unlocks the file. Call it after every connection is disposed of. May be called twice.</summary>
    public void Dispose()
    {
        if (_isDisposed)
            return;
        _isDisposed = true;
        _eraser.Dispose();
        using (var connection = new SqliteConnection(_address.Reader))
            SqliteConnection.ClearPool(connection);
        _files?.Dispose();
        _lock?.Dispose();
    }

    /// <summary>Brings the schema, and checks that the file is whole.</summary>
    private void Prepare(SqliteConnection connection)
    {
        ApplySchema(connection);
        // Recovers what a killed server left in the WAL, and proves that the file can be written.
        connection.Execute("PRAGMA wal_checkpoint(TRUNCATE)");
        connection.Execute("SELECT max(Id) FROM MessageDB; SELECT count(*) FROM (SELECT 1 FROM InboxDB LIMIT 1)");
        var expected = connection.QuerySingle<long>("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size");
        if (new FileInfo(_address.Path).Length < expected)
            throw new StartException(
                $"The database {_address.Path} is truncated. Restore it from a backup, or move it away to start with an empty one.");
    }

    private void ApplySchema(SqliteConnection connection)
    {
        if (!Version.TryParse(connection.ServerVersion, out var version) || version < OldestSoundSqlite)
            throw new StartException(
                $"SQLite {connection.ServerVersion} is too old: {OldestSoundSqlite} or newer is needed. " +
                "Update the package SQLitePCLRaw.lib.e_sqlite3.");

        using var stream = typeof(Database).Assembly.GetManifestResourceStream("chat.db.sql")!;
        using var reader = new StreamReader(stream, Encoding.UTF8);
        var upgrade = SchemaUpgrade.Prepare(connection, _address.Path);
        connection.Execute($"BEGIN IMMEDIATE;\n{upgrade}\n{reader.ReadToEnd()}\nCOMMIT;");
    }

    private void SetPragma(SqliteConnection connection, string name, string value)
    {
        connection.Execute($"PRAGMA {name} = {value}");
        var actual = Convert.ToString(connection.ExecuteScalar($"PRAGMA {name}"), CultureInfo.InvariantCulture);
        if (actual != value)
            throw new StartException(
                $"The database {_address.Path} does not take PRAGMA {name} = {value}; it stays {actual}. Put it on a local file system.");
    }
}
