using Microsoft.Win32.SafeHandles;
using SimpleChat.Settings;

namespace SimpleChat.Storage.Files;

/// <summary>
/// Lets one server use a database at a time. It locks a file beside the database (<c>chat.db.lock</c>). The operating system drops the lock
/// when the process ends, in whatever way. On Linux it locks the database itself too. So no second server can use it under another name (a
/// hard link, a file mounted into a container). Each lock is tried a second time, which must fail. If it does not, locks do not work here,
/// and the server does not start.
/// </summary>
internal sealed class DatabaseLock : IDisposable
{
    private readonly string _database;
    private readonly string _path;
    private IDisposable? _lock;
    private SafeFileHandle? _inode; // closing it drops SQLite's locks, so SQLite's handles are closed first

    private DatabaseLock(string database) => (_database, _path) = (database, database + ".lock");

    /// <summary>Takes the lock if its file exists already. It creates no file, because the database may not be ours.</summary>
    /// <exception cref="StartException">Another server holds the lock, or it cannot be taken.</exception>
    public static DatabaseLock TakeIfThere(string database)
    {
        var taken = new DatabaseLock(database);
        if (File.Exists(taken._path) || new FileInfo(taken._path).LinkTarget is not null)
            taken.TakeFile();
        return taken;
    }

    /// <summary>Takes the locks that are not taken yet. If there is no database, an empty one is created, for its owner alone.</summary>
    /// <exception cref="StartException">Another server holds a lock, or locks do not work here.</exception>
    public void Take()
    {
        if (_lock is null)
            TakeFile();
        if (OperatingSystem.IsLinux() && Environment.Is64BitProcess)
            _inode = Take(_database, "the database", Linux.LockInode);
        else if (!File.Exists(_database))
            File.Create(_database).Dispose();
    }

    public void Dispose()
    {
        foreach (var held in (IDisposable?[])[_inode, _lock])
        {
            if (held is SafeFileHandle file)
                Linux.Unlock(file); // a process that is just being started has a copy of the handle, so closing alone would not do
            held?.Dispose();
        }
    }

    private void TakeFile() => _lock = OperatingSystem.IsLinux() ? Take(_path, $"its lock {_path}", Linux.Lock) : TakeAnywhere();

    private SafeFileHandle Take(string path, string what, Func<SafeFileHandle, int> take)
    {
        var file = Open();
        try
        {
            if (take(file) is var error and not 0)
                throw error is Linux.TryAgain or Linux.AccessDenied ? InUse() : Useless($"{Linux.Explain(error)}.");
            using (var second = Open())
            {
                if (take(second) == 0)
                    throw Useless("Two servers could have it at once.");
            }

            return file;
        }
        catch
        {
            file.Dispose();
            throw;
        }

        SafeFileHandle Open() => Linux.Open(path, create: true, out var error) ?? throw new StartException(error switch
        {
            Linux.SymbolicLink => $"{path} is a symbolic link, and the server does not write through it. Remove it.",
            Linux.ReadOnlyFileSystem =>
                $"The database {_database} is on a read-only file system; the server must be able to write to it and to its folder.",
            Linux.NoSuchFile => $"The database {_database} cannot be made: its folder does not exist.",
            Linux.AccessDenied =>
                $"The database {_database} cannot be used: the server must be able to write to it, to {_path} and to their folder.",
            _ => $"The database {_database} cannot be used: {what} cannot be opened: {Linux.Explain(error)}.",
        });

        StartException Useless(string why) =>
            new($"The database {_database} cannot be used: {what} cannot be locked here. {why} Put it on a local file system.");
    }

    /// <summary>
    /// Locks the file through .NET. The setting DOTNET_SYSTEM_IO_DISABLEFILELOCKING switches that off; the second try finds out.
    /// </summary>
    private FileStream TakeAnywhere()
    {
        if (new FileInfo(_path).LinkTarget is not null)
            throw new StartException($"{_path} is a symbolic link, and the server does not write through it. Remove it.");
        var options = DatabaseFile.ForOwnerAlone(FileMode.OpenOrCreate, FileShare.None);
        FileStream file;
        try
        {
            file = new FileStream(_path, options);
        }
        catch (IOException e) when (e is not (FileNotFoundException or DirectoryNotFoundException))
        {
            throw InUse(e);
        }

        try
        {
            new FileStream(_path, options).Dispose();
        }
        catch (IOException)
        {
            return file; // the second try must fail
        }

        file.Dispose();
        throw new StartException(
            $"The database {_database} cannot be used: its lock {_path} cannot be locked here. " +
            "Leave .NET's file locking on, and put it on a local file system.");
    }

    private StartException InUse(Exception? e = null) =>
        new($"The database {_database} is in use by another server. Stop that one, or set ConnectionStrings:Chat to another file.", e);
}
