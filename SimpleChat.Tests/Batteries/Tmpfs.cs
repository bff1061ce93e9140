namespace SimpleChat.Tests.Batteries;

/// <summary>A small disk of its own, in memory, which can be filled without harm. Mounting takes root.</summary>
internal sealed class Tmpfs : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("simplechat-disk-");

    /// <param name="size">As <c>mount</c> takes it.</param>
    public Tmpfs(string size)
    {
        if (Tool.Try("mount", "-t", "tmpfs", "-o", $"size={size}", "tmpfs", _folder.FullName) is { } problem)
        {
            _folder.Delete();
            throw new InvalidOperationException(problem);
        }
    }

    /// <summary>Why it cannot be had here; null if it can.</summary>
    public static string? Missing { get; } = Try();

    public string File(string name) => Path.Combine(_folder.FullName, name);

    public void Dispose()
    {
        Tool.Try("umount", "-l", _folder.FullName);
        _folder.Delete();
    }

    private static string? Try()
    {
        try
        {
            using var disk = new Tmpfs("1m");
            return null;
        }
        catch (InvalidOperationException e)
        {
            return e.Message;
        }
    }
}

/// <summary>A test that needs a <see cref="Tmpfs"/>: without it skipped with the reason, in CI run all the same, to fail.</summary>
internal sealed class TmpfsFactAttribute : FactAttribute
{
    public TmpfsFactAttribute()
    {
        if (!Strace.IsDemanded)
            Skip = Tmpfs.Missing;
    }
}
