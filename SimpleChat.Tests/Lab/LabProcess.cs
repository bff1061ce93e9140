using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.RegularExpressions;
using SimpleChat.Lab;

namespace SimpleChat.Tests.Lab;

/// <summary>
/// The Lab as people start it: a process, with a folder of its own for whatever it and its servers leave there. What was started by it is
/// known by that folder, which stands in its environment.
/// </summary>
internal sealed partial class LabProcess : IAsyncDisposable
{
    private const string TemporaryFolder = "TMPDIR";

    private readonly TempFolder _folder = new();
    private readonly Process _process = new();
    private readonly ConcurrentQueue<string> _log = new();
    private readonly TaskCompletionSource<Uri> _url = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private LabProcess()
    {
    }

    private string Place => Path.GetDirectoryName(_folder.DatabasePath)!;

    /// <summary>Its control line.</summary>
    public LabPage Page { get; private set; } = null!;

    /// <summary>Where its page is.</summary>
    public Uri Url { get; private set; } = null!;

    /// <summary>Its processor time so far, without its server's.</summary>
    public TimeSpan Worked => _process.TotalProcessorTime;

    /// <summary>What it and its servers have printed, both ways.</summary>
    public IReadOnlyCollection<string> Log => _log;

    /// <summary>Its process and all that it has started, as far as they are there.</summary>
    public int[] Processes =>
        [.. Directory.GetDirectories("/proc").Select(Path.GetFileName).Where(IsOfIt).Select(id => int.Parse(id!, null))];

    /// <summary>Its files and folders in the temporary folder.</summary>
    public string[] Files => Directory.GetFileSystemEntries(Place, "*", SearchOption.AllDirectories);

    public static async Task<LabProcess> StartAsync()
    {
        var lab = new LabProcess();
        var start = lab._process.StartInfo = new ProcessStartInfo("dotnet", [typeof(LabHost).Assembly.Location, "--port", "0"])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment[TemporaryFolder] = lab.Place;
        start.Environment["DOTNET_EnableDiagnostics"] = "0"; // whoever is killed would leave its debugger's pipes there
        lab._process.OutputDataReceived += (_, line) => lab.Hear(line.Data);
        lab._process.ErrorDataReceived += (_, line) => lab.Hear(line.Data);
        lab._process.Start();
        lab._process.BeginOutputReadLine();
        lab._process.BeginErrorReadLine();
        try
        {
            lab.Url = await lab._url.Task.OrFail("the Lab's address");
            lab.Page = await LabPage.OpenAsync(lab.Url);
            return lab;
        }
        catch
        {
            await lab.DisposeAsync();
            throw;
        }
    }

    /// <summary>A player of lessons on it.</summary>
    public LessonPlayer Player() => new(Page, hurry: 20);

    /// <summary>Ends it as Ctrl+C does.</summary>
    /// <returns>Its exit code.</returns>
    public async Task<int> StopAsync()
    {
        using (var kill = Process.Start("kill", ["-TERM", $"{_process.Id}"]))
            await kill.WaitForExitAsync();
        await _process.WaitForExitAsync().OrFail("the Lab's end");
        return _process.ExitCode;
    }

    /// <summary>kill -9.</summary>
    public void Kill() => _process.Kill();

    public async ValueTask DisposeAsync()
    {
        Kill();
        await _process.WaitForExitAsync().OrFail("the Lab's end");
        if (Page is not null)
            await Page.DisposeAsync();
        _process.Dispose();
        _folder.Dispose();
    }

    private bool IsOfIt(string? id)
    {
        try
        {
            return int.TryParse(id, out _) && File.ReadAllText($"/proc/{id}/environ").Split('\0').Contains($"{TemporaryFolder}={Place}");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false; // it has just ended, or is somebody else's
        }
    }

    private void Hear(string? line)
    {
        if (line is null)
            return;
        _log.Enqueue(line);
        if (Address().Match(line) is { Success: true } address)
            _url.TrySetResult(new Uri(address.Value));
    }

    [GeneratedRegex(@"(?<=The Lab is on )http://\S+")]
    private static partial Regex Address();
}
