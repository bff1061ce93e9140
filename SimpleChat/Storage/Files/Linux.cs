using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace SimpleChat.Storage.Files;

/// <summary>
/// System calls that .NET does not offer. They open a file without following a link, take locks that no setting switches off, and identify
/// a file. Errors are errno values (https://man7.org/linux/man-pages/man3/errno.3.html).
/// </summary>
internal static class Linux
{
    /// <summary>Errors for which the server has a message of its own.</summary>
    public const int NoSuchFile = 2, TryAgain = 11, AccessDenied = 13, ReadOnlyFileSystem = 30, SymbolicLink = 40;

    private const int ReadOnly = 0, ReadWrite = 2, Create = 0x40, NonBlocking = 0x800, CloseOnExec = 0x80000;
    private const int InvalidArgument = 22;
    private const int OwnerAlone = 0x180; // mode 0600
    private const int ExclusiveLock = 2, DoNotWait = 4, NoLock = 8; // flock
    private const int SetOpenFileLock = 37; // F_OFD_SETLK
    private const short WriteLock = 1, NoRangeLock = 2; // F_WRLCK, F_UNLCK
    private const int CurrentFolder = -100, DoNotFollow = 0x100; // AT_FDCWD, AT_SYMLINK_NOFOLLOW
    private const uint BasicFields = 0x7ff; // STATX_BASIC_STATS

    /// <summary>
    /// A byte of the database that SQLite never locks. It lies behind the range that SQLite uses (https://sqlite.org/lockingv3.html).
    /// </summary>
    private const long LockByte = 0x40000000 + 1024;

    private static readonly int s_noFollow = RuntimeInformation.ProcessArchitecture is Architecture.X64 or Architecture.X86
        ? 0x20000
        : 0x8000;

    /// <summary>
    /// Opens a file for reading and writing, and never follows a symbolic link. A file that it creates is for its owner alone (mode 0600).
    /// </summary>
    /// <returns>The file, or null and the error.</returns>
    public static SafeFileHandle? Open(string path, bool create, out int error)
    {
        var descriptor = open(path, ReadWrite | NonBlocking | CloseOnExec | s_noFollow | (create ? Create : 0), OwnerAlone);
        error = descriptor < 0 ? Marshal.GetLastPInvokeError() : 0;
        return descriptor < 0 ? null : new SafeFileHandle(descriptor, ownsHandle: true);
    }

    /// <summary>
    /// Locks the file for this handle alone. It uses flock, as .NET does, so that it excludes servers of older versions too.
    /// </summary>
    /// <returns>0, or the error: <see cref="TryAgain"/> if somebody else holds it.</returns>
    public static int Lock(SafeFileHandle file) => flock(file, ExclusiveLock | DoNotWait) == 0 ? 0 : Marshal.GetLastPInvokeError();

    /// <summary>
    /// Locks the file itself, under whatever name, for this handle alone. The lock belongs to the open file and not to the process, so
    /// closing another handle does not drop it. It does not affect the locks of SQLite or of .NET.
    /// </summary>
    /// <returns>0, or the error: <see cref="TryAgain"/> if somebody else holds it.</returns>
    public static int LockInode(SafeFileHandle file) => SetInodeLock(file, WriteLock);

    /// <summary>Drops both locks, even if another process has inherited the open file.</summary>
    public static void Unlock(SafeFileHandle file)
    {
        _ = SetInodeLock(file, NoRangeLock);
        _ = flock(file, NoLock);
    }

    private static int SetInodeLock(SafeFileHandle file, short type)
    {
        var range = new FileLock { Type = type, Start = LockByte, Length = 1 };
        return fcntl(file, SetOpenFileLock, ref range) == 0 ? 0 : Marshal.GetLastPInvokeError();
    }

    /// <summary>Reads the stamp of the file at a path; null if there is no file.</summary>
    /// <exception cref="IOException">The file cannot be examined.</exception>
    public static FileStamp? Stamp(string path)
    {
        if (statx(CurrentFolder, path, DoNotFollow, BasicFields, out var status) == 0)
            return new FileStamp(
                (long)((ulong)status.DeviceMajor << 32 | status.DeviceMinor), (long)status.Inode, (long)status.Size,
                status.ModifiedSeconds * 1_000_000_000 + status.ModifiedNanoseconds);
        var error = Marshal.GetLastPInvokeError();
        return error == NoSuchFile ? null : throw new IOException($"{path} cannot be looked at: {Explain(error)}.");
    }

    /// <summary>
    /// Writes a folder's entries to disk, so that a file's new name survives a power cut too
    /// (https://man7.org/linux/man-pages/man2/fsync.2.html).
    /// </summary>
    /// <exception cref="IOException">It is not known to be on disk.</exception>
    public static void SyncFolder(string path)
    {
        var descriptor = open(path, ReadOnly | CloseOnExec, 0);
        var error = descriptor < 0 ? Marshal.GetLastPInvokeError() : 0;
        if (descriptor >= 0)
        {
            using var folder = new SafeFileHandle(descriptor, ownsHandle: true);
            error = fsync(folder) == 0 ? 0 : Marshal.GetLastPInvokeError();
        }

        if (error is not (0 or InvalidArgument)) // some file systems sync no folders
            throw new IOException($"The folder {path} cannot be written to disk: {Explain(error)}.");
    }

    public static string Explain(int error) => Marshal.GetPInvokeErrorMessage(error);

#pragma warning disable IDE1006, SYSLIB1054 // these are libc's names
    [DllImport("libc", SetLastError = true)]
    private static extern int open([MarshalAs(UnmanagedType.LPUTF8Str)] string path, int flags, int mode);

    [DllImport("libc", SetLastError = true)]
    private static extern int flock(SafeFileHandle file, int operation);

    [DllImport("libc", SetLastError = true)]
    private static extern int fsync(SafeFileHandle file);

    [DllImport("libc", SetLastError = true)]
    private static extern int fcntl(SafeFileHandle file, int command, ref FileLock range);

    [DllImport("libc", SetLastError = true)]
    private static extern int statx(int folder, [MarshalAs(UnmanagedType.LPUTF8Str)] string path, int flags, uint fields,
        out FileStatus status);
#pragma warning restore IDE1006, SYSLIB1054

    /// <summary>The struct flock of a 64-bit system.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct FileLock
    {
        public short Type, Whence;
        public long Start, Length;
        public int Process;
    }

    /// <summary>The struct statx, which is the same on every architecture (https://man7.org/linux/man-pages/man2/statx.2.html).</summary>
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    private struct FileStatus
    {
        [FieldOffset(32)]
        public ulong Inode;

        [FieldOffset(40)]
        public ulong Size;

        [FieldOffset(112)]
        public long ModifiedSeconds;

        [FieldOffset(120)]
        public uint ModifiedNanoseconds;

        [FieldOffset(136)]
        public uint DeviceMajor;

        [FieldOffset(140)]
        public uint DeviceMinor;
    }
}
