using System.Collections.Concurrent;
using Microsoft.Extensions.FileProviders;
using Microsoft.Extensions.Primitives;

namespace SimpleChat.Http;

/// <summary>
/// The page's files, each read whole when it is first asked for, and anew when it has changed. An answer that nobody takes holds memory
/// that all answers share, and no open file: over HTTP/2 a stranger may have a hundred of them on one connection.
/// </summary>
/// <param name="folder">Where they are.</param>
internal sealed class PageFiles(IFileProvider folder) : IFileProvider
{
    /// <summary>By path. Some file systems take any spelling of a name: none makes another file here.</summary>
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

        /// <summary>None, or it would be opened.</summary>
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
