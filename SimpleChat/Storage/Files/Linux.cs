using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace SimpleChat.Storage.Files;

/// <summary>
/// What .NET has no call for: opening without following a link, locks that its settings cannot switch off, and which file a name leads to.
/// Errors are errno values (https://man7.org/linux/man-pages/man3/errno.3.html).
/// </summary>
internal static class Linux
{
    /// <summary>Errors that somebody can do something about.</summary>
    public const int NoSuchFile = 2, TryAgain = 11, AccessDenied = 13, ReadOnlyFileSystem = 30, SymbolicLink = 40;

    private const int ReadWrite = 2, Create = 0x40, NonBlocking = 0x800, CloseOnExec = 0x80000;
    private const int OwnerAlone = 0x180; // mode 0600
    private const int ExclusiveLock = 2, DoNotWait = 4; // flock
    private const int SetOpenFileLock = 37; // F_OFD_SETLK
    private const short WriteLock = 1; // F_WRLCK
    private const int CurrentFolder = -100, DoNotFollow = 0x100; // AT_FDCWD, AT_SYMLINK_NOFOLLOW
    private const uint BasicFields = 0x7ff; // STATX_BASIC_STATS

    /// <summary>A byte of a database that SQLite never locks: behind its own range (https://sqlite.org/lockingv3.html).</summary>
    private const long LockByte = 0x40000000 + 1024;

    private static readonly int s_noFollow = RuntimeInformation.ProcessArchitecture is Architecture.X64 or Architecture.X86
        ? 0x20000
        : 0x8000;

    /// <summary>
    /// Opens a file for reading and writing, never through a symbolic link. One that it makes is its owner's alone (mode 0600).
    /// </summary>
    /// <returns>The file, or null and the error.</returns>
    public static SafeFileHandle? Open(string path, bool create, out int error)
    {
        var descriptor = open(path, ReadWrite | NonBlocking | CloseOnExec | s_noFollow | (create ? Create : 0), OwnerAlone);
        error = descriptor < 0 ? Marshal.GetLastPInvokeError() : 0;
        return descriptor < 0 ? null : new SafeFileHandle(descriptor, ownsHandle: true);
    }

    /// <summary>
    /// Locks the file for this handle alone (flock, as .NET does it, so that servers of an older version are held off too).
    /// </summary>
    /// <returns>0, or the error: <see cref="TryAgain"/> if somebody else holds it.</returns>
    public static int Lock(SafeFileHandle file) => flock(file, ExclusiveLock | DoNotWait) == 0 ? 0 : Marshal.GetLastPInvokeError();

    /// <summary>
    /// Locks the file itself, whatever its name, for this handle alone. The lock is the open file's, not the process's: closing another
    /// handle does not drop it. It disturbs neither SQLite's locks nor those of .NET.
    /// </summary>
    /// <returns>0, or the error: <see cref="TryAgain"/> if somebody else holds it.</returns>
    public static int LockInode(SafeFileHandle file)
    {
        var range = new FileLock { Type = WriteLock, Start = LockByte, Length = 1 };
        return fcntl(file, SetOpenFileLock, ref range) == 0 ? 0 : Marshal.GetLastPInvokeError();
    }

    /// <summary>The file that a name leads to, or null if there is none.</summary>
    /// <exception cref="IOException">It cannot be looked at.</exception>
    public static FileStamp? Stamp(string path)
    {
        if (statx(CurrentFolder, path, DoNotFollow, BasicFields, out var status) == 0)
        {
            return new FileStamp(
                (long)((ulong)status.DeviceMajor << 32 | status.DeviceMinor), (long)status.Inode, (long)status.Size,
                status.ModifiedSeconds * 1_000_000_000 + status.ModifiedNanoseconds);
        }

        var error = Marshal.GetLastPInvokeError();
        return error == NoSuchFile ? null : throw new IOException($"{path} cannot be looked at: {Explain(error)}.");
    }

    /// <summary>The error in the operating system's words.</summary>
    public static string Explain(int error) => Marshal.GetPInvokeErrorMessage(error);

#pragma warning disable IDE1006, SYSLIB1054 // the names are the library's
    [DllImport("libc", SetLastError = true)]
    private static extern int open([MarshalAs(UnmanagedType.LPUTF8Str)] string path, int flags, int mode);

    [DllImport("libc", SetLastError = true)]
    private static extern int flock(SafeFileHandle file, int operation);

    [DllImport("libc", SetLastError = true)]
    private static extern int fcntl(SafeFileHandle file, int command, ref FileLock range);

    [DllImport("libc", SetLastError = true)]
    private static extern int statx(int folder, [MarshalAs(UnmanagedType.LPUTF8Str)] string path, int flags, uint fields,
        out FileStatus status);
#pragma warning restore IDE1006, SYSLIB1054

    /// <summary>struct flock of a 64-bit system.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct FileLock
    {
        public short Type, Whence;
        public long Start, Length;
        public int Process;
    }

    /// <summary>struct statx, which is the same on every architecture (https://man7.org/linux/man-pages/man2/statx.2.html).</summary>
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
