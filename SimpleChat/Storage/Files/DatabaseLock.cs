using Microsoft.Win32.SafeHandles;
using SimpleChat.Settings;

namespace SimpleChat.Storage.Files;

/// <summary>
/// One server per database: an operating-system lock on a file beside it (<c>chat.db.lock</c>), which goes with the process, however that
/// ends. On Linux the database itself is locked too, so that another name for it (a hard link, a file mounted into a container) gives no
/// second server. Each lock is tried a second time, which must fail: where locks do not work, nothing starts.
/// </summary>
internal sealed class DatabaseLock : IDisposable
{
    private readonly string _database;
    private readonly string _path;
    private IDisposable? _lock;
    private SafeFileHandle? _inode; // disposed of after SQLite's last handle: closing it drops SQLite's own locks

    private DatabaseLock(string database) => (_database, _path) = (database, database + ".lock");

    /// <summary>Looks whether another server holds the database. Makes nothing: a file that is not ours gets no lock beside it.</summary>
    /// <exception cref="StartException">Another one does, or the lock cannot be taken.</exception>
    public static DatabaseLock TakeIfThere(string database)
    {
        var taken = new DatabaseLock(database);
        if (File.Exists(taken._path) || new FileInfo(taken._path).LinkTarget is not null)
            taken.TakeFile();
        return taken;
    }

    /// <summary>Takes what is not taken yet. A database that is not there is made, empty, for its owner alone.</summary>
    /// <exception cref="StartException">Another server holds it, or locks do not work here.</exception>
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
        _inode?.Dispose();
        _lock?.Dispose();
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

    /// <summary>By .NET, whose settings can switch it off (DOTNET_SYSTEM_IO_DISABLEFILELOCKING): then the second try tells.</summary>
    private FileStream TakeAnywhere()
    {
        if (new FileInfo(_path).LinkTarget is not null)
            throw new StartException($"{_path} is a symbolic link, and the server does not write through it. Remove it.");
        var options = new FileStreamOptions { Mode = FileMode.OpenOrCreate, Access = FileAccess.ReadWrite, Share = FileShare.None };
        if (!OperatingSystem.IsWindows())
            options.UnixCreateMode = DatabaseFile.OwnerAlone;
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
            return file; // as it must be
        }

        file.Dispose();
        throw new StartException(
            $"The database {_database} cannot be used: its lock {_path} cannot be locked here. " +
            "Leave .NET's file locking on, and put it on a local file system.");
    }

    private StartException InUse(Exception? e = null) =>
        new($"The database {_database} is in use by another server. Stop that one, or set ConnectionStrings:Chat to another file.", e);
}
