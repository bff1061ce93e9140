namespace SimpleChat.Storage.Files;

/// <summary>Tells a file from others, and from itself after a change.</summary>
/// <param name="Device">The device that holds the file, on Linux; 0 elsewhere.</param>
/// <param name="Inode">The file's number on its device, on Linux; elsewhere its creation time, in ticks.</param>
/// <param name="Modified">When its content was last changed; nanoseconds on Linux, ticks elsewhere.</param>
internal readonly record struct FileStamp(long Device, long Inode, long Size, long Modified)
{
    /// <summary>Reads the stamp of the file at a path; null if there is no file.</summary>
    public static FileStamp? Of(string path)
    {
        if (OperatingSystem.IsLinux())
            return Linux.Stamp(path);
        var file = new FileInfo(path);
        return file.Exists ? new FileStamp(0, file.CreationTimeUtc.Ticks, file.Length, file.LastWriteTimeUtc.Ticks) : null;
    }

    /// <summary>Whether both are the same file, whatever its content is.</summary>
    public bool IsSameFile(FileStamp other) => (Device, Inode) == (other.Device, other.Inode);
}
