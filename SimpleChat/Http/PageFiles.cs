using System.Collections.Concurrent;
using Microsoft.Extensions.FileProviders;
using Microsoft.Extensions.Primitives;

namespace SimpleChat.Http;

/// <summary>
/// The web page's files. Each is read whole when it is first asked for, and again when it has changed. All answers share that memory, and
/// none holds a file open. Over HTTP/2 a stranger may have a hundred unread answers on one connection.
/// </summary>
internal sealed class PageFiles(IFileProvider folder) : IFileProvider
{
    /// <summary>The files by path. Case is ignored, because in some file systems two spellings name the same file.</summary>
    private readonly ConcurrentDictionary<string, PageFile> _files = new(StringComparer.OrdinalIgnoreCase);

    public IFileInfo GetFileInfo(string subpath)
    {
        var file = folder.GetFileInfo(subpath);
        if (!file.Exists || file.IsDirectory || file.PhysicalPath is not { } path)
            return file;
        return _files.TryGetValue(path, out var known) && known.LastModified == file.LastModified && known.Length == file.Length
            ? known
            : _files[path] = PageFile.Read(file);
    }

    public IDirectoryContents GetDirectoryContents(string subpath) => folder.GetDirectoryContents(subpath);

    public IChangeToken Watch(string filter) => folder.Watch(filter);

    private sealed class PageFile(string name, DateTimeOffset lastModified, byte[] bytes) : IFileInfo
    {
        public bool Exists => true;

        public bool IsDirectory => false;

        public long Length => bytes.Length;

        /// <summary>Null, because the framework would open the file at a path.</summary>
        public string? PhysicalPath => null;

        public string Name => name;

        public DateTimeOffset LastModified => lastModified;

        public static PageFile Read(IFileInfo file)
        {
            using var stream = file.CreateReadStream();
            using var bytes = new MemoryStream();
            stream.CopyTo(bytes);
            return new PageFile(file.Name, file.LastModified, bytes.ToArray());
        }

        public Stream CreateReadStream() => new MemoryStream(bytes, writable: false);
    }
}
