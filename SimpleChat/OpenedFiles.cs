using Microsoft.Data.Sqlite;
using Microsoft.Win32.SafeHandles;
using SQLitePCL;

namespace SimpleChat;

/// <summary>
/// The database, its write-ahead log and the log's index (<c>-wal</c>, <c>-shm</c>), as SQLite opened them at start. SQLite itself does not notice when
/// somebody deletes one, puts a copy over it or writes into it: it goes on, and what it commits is lost at the next start. So whoever commits looks here before it confirms.
/// </summary>
internal sealed class OpenedFiles : IDisposable
{
    /// <summary>Bytes of the index's header (https://sqlite.org/walformat.html#the_wal_index_header): two copies of 48, then how far checkpoints have come.</summary>
    private const int CopyBytes = 48, HeaderBytes = 136;

    private readonly string _path;
    private readonly FileStamp _log, _index;
    private readonly SafeFileHandle? _logHandle, _indexHandle; // on Linux; the second one's end would drop SQLite's locks, so it ends last
    private FileStamp _database; // as it was left by the last checkpoint
    private Progress _progress;

    /// <param name="path">The database. SQLite has all three files open.</param>
    /// <exception cref="IOException">They cannot be looked at.</exception>
    public OpenedFiles(string path)
    {
        _path = path;
        (_database, _log, _index) = (Stamp(""), Stamp("-wal"), Stamp("-shm"));
        if (!OperatingSystem.IsLinux())
            return;
        _logHandle = Open("-wal");
        _indexHandle = Open("-shm");
        RequireUntouched();

        FileStamp Stamp(string suffix) => FileStamp.Of(path + suffix) ?? throw new FileNotFoundException($"{path}{suffix} is not there.");
        SafeFileHandle Open(string suffix) => File.OpenHandle(path + suffix, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
    }

    /// <summary>The three names still lead to the files that were opened. On any thread.</summary>
    /// <exception cref="SqliteException">One does not, and why.</exception>
    public void RequireInPlace() => InPlace();

    /// <summary>
    /// Besides, nobody has written into the database but checkpoints, of which the index tells, nor over the log. On the writer's thread, between its commits.
    /// Somebody else's commits and checkpoints (a <c>sqlite3</c> shell's) are no harm.
    /// </summary>
    /// <exception cref="SqliteException">Somebody has, and what to do.</exception>
    public void RequireUntouched()
    {
        var database = InPlace();
        if (_indexHandle is null)
            return;
        if (ReadIndex() is not { } now)
            return; // somebody is writing it this very moment
        if (now.Frames > 0 && ReadLogSalt() != now.Salt && ReadIndex() == now)
            throw Changed($"its write-ahead log {_path}-wal was overwritten");
        if (database != _database)
        {
            var isExplained = now.IsUnderWay || now.Progress != _progress;
            if (!isExplained)
                throw Changed("it was overwritten");
            if (now.IsUnderWay)
                return;
            _database = InPlace(); // no older than what the index told
        }

        _progress = now.Progress;
    }

    public void Dispose()
    {
        _logHandle?.Dispose();
        _indexHandle?.Dispose();
    }

    private FileStamp InPlace()
    {
        if (Now("") is not { } database || !database.IsSameFile(_database))
            throw Fault("it was moved away, deleted or replaced while in use. Put it back, or restart the server with the one that is there.");
        if (Now("-wal")?.IsSameFile(_log) != true)
            throw Fault($"its write-ahead log {_path}-wal was deleted or replaced while in use. Stop the server and look what is left.");
        if (Now("-shm")?.IsSameFile(_index) != true)
            throw Fault($"{_path}-shm was deleted or replaced while in use. Restart the server.");
        return database;
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
        if (RandomAccess.Read(_indexHandle!, header, 0) < HeaderBytes || !header[..CopyBytes].SequenceEqual(header[CopyBytes..(2 * CopyBytes)]))
            return null;
        return new Index(
            Frames: BitConverter.ToUInt32(header[16..]), Salt: BitConverter.ToUInt64(header[32..]),
            Done: BitConverter.ToUInt32(header[96..]), Attempted: BitConverter.ToUInt32(header[128..]));
    }

    /// <summary>The log's own salt, in the index's order of bytes; 0 if there is none.</summary>
    private ulong ReadLogSalt()
    {
        Span<byte> header = stackalloc byte[32];
        return RandomAccess.Read(_logHandle!, header, 0) < header.Length ? 0 : BitConverter.ToUInt64(header[16..]);
    }

    private static SqliteException Fault(string fault) => new(fault, raw.SQLITE_READONLY, raw.SQLITE_READONLY_DBMOVED);

    private SqliteException Changed(string what) => Fault(
        $"{what} while in use, by something that is not SQLite. Stop the server, then restore a backup, or see what is left: sqlite3 {_path} 'PRAGMA integrity_check'.");

    /// <summary>How far checkpoints have come: into which log, and up to which of its frames.</summary>
    private readonly record struct Progress(ulong Salt, uint Done);

    /// <summary>The index's header.</summary>
    private readonly record struct Index(uint Frames, ulong Salt, uint Done, uint Attempted)
    {
        /// <summary>A checkpoint writes into the database just now, or has failed to.</summary>
        public bool IsUnderWay => Attempted > Done;

        public Progress Progress => new(Salt, Done);
    }
}
