namespace SimpleChat.Tests;

/// <summary>A folder of one test's own, gone with it.</summary>
internal sealed class TempFolder : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("simplechat-");

    public string DatabasePath => File("chat.db");

    public string File(string name) => Path.Combine(_folder.FullName, name);

    /// <summary>May be called twice: a server that does not start gives up its folder before its test does.</summary>
    public void Dispose()
    {
        if (Directory.Exists(_folder.FullName))
            _folder.Delete(recursive: true);
    }
}
