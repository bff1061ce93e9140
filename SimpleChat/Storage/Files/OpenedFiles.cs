using Dapper;
using Microsoft.Data.Sqlite;
using Microsoft.Win32.SafeHandles;
using SQLitePCL;

namespace SimpleChat.Storage.Files;

/// <summary>
/// The database, its write-ahead log and the log's index (<c>-wal</c>, <c>-shm</c>): kept open from start to end by a connection of its
/// own. SQLite does not notice when somebody deletes one of them, puts a copy over it or writes into it. It goes on, and what it commits is
/// lost at the next start. So whoever commits looks here before it confirms.
/// </summary>
internal sealed class OpenedFiles : IDisposable
{
    /// <summary>
    /// Bytes of the index's header (https://sqlite.org/walformat.html#the_wal_index_header): two copies of 48, then how far checkpoints
    /// have come.
    /// </summary>
    private const int CopyBytes = 48, HeaderBytes = 136;

    /// <summary>SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE (https://sqlite.org/c3ref/c_dbconfig_defensive.html).</summary>
    private const int NoCheckpointOnClose = 1006;

    private readonly string _path;
    private readonly SqliteConnection _connection;
    private readonly FileStamp _log, _index;
    // On Linux; they end last, because the second one's end drops SQLite's own locks.
    private readonly SafeFileHandle? _logHandle, _indexHandle;
    private FileStamp _database; // as checkpoints left it
    private Progress _progress;

    /// <param name="path">The database; its schema is in it.</param>
    /// <param name="connectionString">How to open it, for reading and writing.</param>
    /// <exception cref="IOException">The files cannot be looked at.</exception>
    /// <exception cref="SqliteException">They cannot be opened.</exception>
    public OpenedFiles(string path, string connectionString)
    {
        _path = path;
        _connection = new SqliteConnection(connectionString);
        try
        {
            _connection.Open();
            _connection.Execute("SELECT count(*) FROM MessageDB_Indexed"); // opens the log and its index
            (_database, _log, _index) = (Stamp(""), Stamp("-wal"), Stamp("-shm"));
            if (OperatingSystem.IsLinux())
                (_logHandle, _indexHandle) = (Open("-wal"), Open("-shm"));
        }
        catch
        {
            Dispose();
            throw;
        }

        FileStamp Stamp(string suffix) => FileStamp.Of(path + suffix) ?? throw new FileNotFoundException($"{path}{suffix} is not there.");
        SafeFileHandle Open(string suffix) =>
            File.OpenHandle(path + suffix, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
    }

    /// <summary>The three names still lead to the files that were opened. On any thread.</summary>
    /// <exception cref="SqliteException">One does not, and why.</exception>
    public void RequireInPlace()
    {
        RequireDatabase();
        RequireLog();
    }

    /// <summary>
    /// Besides, nobody has written into the database but checkpoints, of which the index tells, nor over the log. On the writer's thread,
    /// between its commits. Somebody else's commits and checkpoints (a <c>sqlite3</c> shell's) are no harm.
    /// </summary>
    /// <exception cref="SqliteException">Somebody has, and what to do.</exception>
    public void RequireUntouched()
    {
        var database = RequireDatabase();
        if (_indexHandle is not null && ReadIndex() is { } index) // otherwise somebody is writing it this very moment
        {
            if (index.Frames > 0 && ReadLogSalt() != index.Salt && ReadIndex() == index)
                throw Overwritten($"its write-ahead log {_path}-wal was overwritten");
            if (database != _database)
            {
                if (index.Progress == _progress && !index.IsUnderWay)
                    throw Overwritten("it was overwritten");
                _database = index.IsUnderWay ? _database : RequireDatabase(); // no older than what the index told
            }

            _progress = index.Progress;
        }

        RequireLog();
    }

    /// <summary>
    /// While the log is gone from its place SQLite still has it open. Everything that was committed is moved from it into the database,
    /// where a restart will find it. Only if the database is untouched: on the writer's thread, after <see cref="RequireUntouched"/>.
    /// </summary>
    public void Save()
    {
        if (FileStamp.Of(_path) != _database || FileStamp.Of(_path + "-wal")?.IsSameFile(_log) == true)
            return;
        _connection.Execute("PRAGMA wal_checkpoint");
        _database = RequireDatabase();
    }

    public void Dispose()
    {
        try
        {
            if (_logHandle is not null)
                RequireUntouched();
        }
        catch (SqliteException)
        {
            // The log goes into no file that it does not belong to.
            raw.sqlite3_db_config(_connection.Handle, NoCheckpointOnClose, 1, out _);
        }

        _connection.Dispose();
        _logHandle?.Dispose();
        _indexHandle?.Dispose();
    }

    private FileStamp RequireDatabase() => Now("") is { } database && database.IsSameFile(_database)
        ? database
        : throw Fault(
            "it was moved away, deleted or replaced while in use. Put it back, or restart the server with the one that is there.");

    private void RequireLog()
    {
        if (Now("-wal")?.IsSameFile(_log) != true)
            throw Fault(
                $"its write-ahead log {_path}-wal was deleted or replaced while in use. " +
                "Restart the server, with the log's file moved away if there is one.");
        if (Now("-shm")?.IsSameFile(_index) != true)
            throw Fault($"{_path}-shm was deleted or replaced while in use. Restart the server.");
    }

    private FileStamp? Now(string suffix)
    {
        try
        {
            return FileStamp.Of(_path + suffix);
        }
        catch (IOException e)
        {
            throw Fault(e.Message);
        }
    }

    /// <summary>What the index says of the log and its checkpoints; null while it is being written.</summary>
    private Index? ReadIndex()
    {
        Span<byte> header = stackalloc byte[HeaderBytes];
        if (RandomAccess.Read(_indexHandle!, header, 0) < HeaderBytes
            || !header[..CopyBytes].SequenceEqual(header[CopyBytes..(2 * CopyBytes)]))
            return null;
        return new Index(
            Frames: BitConverter.ToUInt32(header[16..]), Salt: BitConverter.ToUInt64(header[32..]),
            Done: BitConverter.ToUInt32(header[96..]), Attempted: BitConverter.ToUInt32(header[128..]));
    }

    /// <summary>The log's own salt, as its file has it (https://sqlite.org/fileformat2.html#walformat); 0 if there is none.</summary>
    private ulong ReadLogSalt()
    {
        Span<byte> header = stackalloc byte[32];
        return RandomAccess.Read(_logHandle!, header, 0) < header.Length ? 0 : BitConverter.ToUInt64(header[16..]);
    }

    private static SqliteException Fault(string fault) => new(fault, raw.SQLITE_READONLY, raw.SQLITE_READONLY_DBMOVED);

    private SqliteException Overwritten(string what) => Fault(
        $"{what} while in use, by something that is not SQLite. Stop the server and restore a backup; " +
        $"what is left of it: sqlite3 {_path} .recover.");

    /// <summary>How far checkpoints have come: of which log, and up to which of its frames.</summary>
    private readonly record struct Progress(ulong Salt, uint Done);

    /// <summary>The index's header.</summary>
    private readonly record struct Index(uint Frames, ulong Salt, uint Done, uint Attempted)
    {
        /// <summary>A checkpoint writes into the database just now, or has failed to.</summary>
        public bool IsUnderWay => Attempted > Done;

        public Progress Progress => new(Salt, Done);
    }
}
