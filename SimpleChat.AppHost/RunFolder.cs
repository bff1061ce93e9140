using System.Diagnostics;

namespace SimpleChat.AppHost;

/// <summary>
/// A temporary folder for all that is written. It goes when the run ends, however that ends: a shell waits for the end of its input, which
/// is the end of this process. Then it stops what still runs by the <c>.pid</c> files in the folder, and removes the folder.
/// </summary>
internal sealed class RunFolder : IDisposable
{
    private const string RemovedAtTheEnd = """
        trap '' INT TERM HUP
        cat >/dev/null
        cd "$0" || exit
        for engine in $(head -qn1 postgres/postmaster.pid *.pid 2>/dev/null); do
          kill -INT "$engine" 2>/dev/null
          for _ in $(seq 100); do kill -0 "$engine" 2>/dev/null || break; sleep 0.1; done
        done
        rm -rf "$0"
        """;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("simplechat-");
    private readonly Process _end;

    public RunFolder() =>
        _end = Process.Start(new ProcessStartInfo("sh", ["-c", RemovedAtTheEnd, _folder.FullName]) { RedirectStandardInput = true })!;

    /// <summary>The path of something in it.</summary>
    public string this[string name] => Path.Combine(_folder.FullName, name);

    public void Dispose()
    {
        _end.StandardInput.Close();
        _end.WaitForExit();
        _end.Dispose();
    }
}
