namespace SimpleChat.Storage.Files;

/// <summary>Which file it is, and when it was changed.</summary>
/// <param name="Device">Where it is; 0 except on Linux.</param>
/// <param name="Inode">What tells it from any other file there; except on Linux when it was made.</param>
/// <param name="Size">In bytes.</param>
/// <param name="Modified">When its content was last changed; nanoseconds on Linux, ticks elsewhere.</param>
internal readonly record struct FileStamp(long Device, long Inode, long Size, long Modified)
{
    /// <summary>The file that a name leads to, or null if there is none.</summary>
    public static FileStamp? Of(string path)
    {
        if (OperatingSystem.IsLinux())
            return Linux.Stamp(path);
        var file = new FileInfo(path);
        return file.Exists ? new FileStamp(0, file.CreationTimeUtc.Ticks, file.Length, file.LastWriteTimeUtc.Ticks) : null;
    }

    /// <summary>Whether both are the same file, whatever is in it.</summary>
    public bool IsSameFile(FileStamp other) => (Device, Inode) == (other.Device, other.Inode);
}
