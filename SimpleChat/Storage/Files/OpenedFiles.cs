using Dapper;
using Microsoft.Data.Sqlite;
using Microsoft.Win32.SafeHandles;
using SQLitePCL;

namespace SimpleChat.Storage.Files;

/// <summary>
/// Watches the database, its write-ahead log and the log's index (<c>-wal</c>, <c>-shm</c>). A connection of its own keeps them open from
/// start to end. SQLite does not notice when somebody deletes, replaces or overwrites one of them. It goes on, and what it commits is lost
/// at the next start. So the writer checks here before it confirms a commit.
/// </summary>
internal sealed class OpenedFiles : IDisposable
{
    /// <summary>
    /// Bytes of the index's header (https://sqlite.org/walformat.html#the_wal_index_header). It has two copies of 48 bytes, and then the
    /// progress of checkpoints.
    /// </summary>
    private const int CopyBytes = 48, HeaderBytes = 136;

    /// <summary>SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE (https://sqlite.org/c3ref/c_dbconfig_defensive.html).</summary>
    private const int NoCheckpointOnClose = 1006;

    private readonly string _path;
    private readonly SqliteConnection _connection;
    private readonly FileStamp _log, _index;
    // Open on Linux only. They are closed last, because closing the second one drops SQLite's own locks.
    private readonly SafeFileHandle? _logHandle, _indexHandle;
    private FileStamp _database; // after the last checkpoint
    private Progress _progress;

    /// <exception cref="IOException">The files cannot be examined.</exception>
    /// <exception cref="SqliteException">They cannot be opened.</exception>
    public OpenedFiles(string path, string connectionString)
    {
        _path = path;
        _connection = new SqliteConnection(connectionString);
        try
        {
            _connection.Open();
            _connection.Execute("SELECT count(*) FROM MessageDB_Indexed"); // opens the log and its index
            _database = Stamp("");
            _log = Stamp("-wal");
            _index = Stamp("-shm");
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

    /// <summary>Checks that the three paths still lead to the files that were opened. Any thread may call it.</summary>
    /// <exception cref="SqliteException">A file is missing or another one; the message says which.</exception>
    public void RequireInPlace()
    {
        RequireDatabase();
        RequireLog();
    }

    /// <summary>
    /// Checks besides that only SQLite has written into the database and the log. Checkpoints change the database, and the index records
    /// their progress. Commits and checkpoints of another process (a <c>sqlite3</c> shell) do no harm. Called on the writer's thread,
    /// between its commits.
    /// </summary>
    /// <exception cref="SqliteException">A file was overwritten; the message says what to do.</exception>
    public void RequireUntouched()
    {
        var database = RequireDatabase();
        if (_indexHandle is not null && ReadIndex() is { } index) // null while a process writes the index
        {
            if (index.Frames > 0 && ReadLogSalt() != index.Salt && ReadIndex() == index)
                throw Overwritten($"its write-ahead log {_path}-wal was overwritten");
            if (database != _database)
            {
                if (index.Progress == _progress && !index.IsUnderWay)
                    throw Overwritten("it was overwritten");
                _database = index.IsUnderWay ? _database : RequireDatabase(); // read after the index, so that it is no older
            }

            _progress = index.Progress;
        }

        RequireLog();
    }

    /// <summary>
    /// Saves what is in a log that was deleted. SQLite still has the log open. So a checkpoint can copy every commit into the database,
    /// where a restart finds it. It does nothing if the database was changed. Called on the writer's thread, after
    /// <see cref="RequireUntouched"/> failed.
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
            // The log must not be copied into a file to which it does not belong.
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

    /// <summary>Reads from the index the state of the log and its checkpoints; null while a process writes the index.</summary>
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

    /// <summary>Reads the salt from the log's file (https://sqlite.org/fileformat2.html#walformat); 0 if there is none.</summary>
    private ulong ReadLogSalt()
    {
        Span<byte> header = stackalloc byte[32];
        return RandomAccess.Read(_logHandle!, header, 0) < header.Length ? 0 : BitConverter.ToUInt64(header[16..]);
    }

    private static SqliteException Fault(string fault) => new(fault, raw.SQLITE_READONLY, raw.SQLITE_READONLY_DBMOVED);

    private SqliteException Overwritten(string what) => Fault(
        $"{what} while in use, by something that is not SQLite. Stop the server and restore a backup; " +
        $"what is left of it: sqlite3 {_path} .recover.");

    /// <summary>The progress of checkpoints: the log's salt, and how many of its frames are in the database.</summary>
    private readonly record struct Progress(ulong Salt, uint Done);

    /// <summary>The fields of the index's header that matter here.</summary>
    private readonly record struct Index(uint Frames, ulong Salt, uint Done, uint Attempted)
    {
        /// <summary>Whether a checkpoint is writing into the database, or has failed to.</summary>
        public bool IsUnderWay => Attempted > Done;

        public Progress Progress => new(Salt, Done);
    }
}
