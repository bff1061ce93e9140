using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.RegularExpressions;

namespace SimpleChat.Tests;

/// <summary>The server as a process of its own, for what only a process can show: signals, its exit code, what it prints.</summary>
internal sealed partial class ChatProcess : IAsyncDisposable
{
    private readonly Dictionary<string, string> _settings = [];
    private readonly ConcurrentQueue<string> _output = new();
    private readonly ConcurrentQueue<string> _errors = new();
    private readonly TaskCompletionSource<Uri> _listening = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly HttpClient _http = new();
    private Process? _process;

    public string Environment { get; init; } = "Development";

    /// <summary>Its file; empty for the program's own default.</summary>
    public required string DatabasePath { get; init; }

    /// <summary>The folder that it is started from. The build puts SimpleChat.dll beside the tests.</summary>
    public string WorkingDirectory { get; init; } = AppContext.BaseDirectory;

    /// <summary>The folder that has SimpleChat.dll.</summary>
    public string ProgramFolder { get; init; } = AppContext.BaseDirectory;

    /// <summary>Environment variables besides.</summary>
    public Dictionary<string, string> Variables { get; } = [];

    /// <summary>A command that starts it, such as a tracer; must become the server's process by <c>exec</c>.</summary>
    public IReadOnlyList<string> Under { get; init; } = [];

    public Uri Url { get; private set; } = null!;

    public int Id => _process!.Id;

    /// <summary>Memory that it really occupies.</summary>
    public long ResidentBytes
    {
        get
        {
            _process!.Refresh();
            return _process.HasExited ? 0 : _process.WorkingSet64;
        }
    }

    /// <summary>The most that it ever occupied.</summary>
    public long PeakResidentBytes
    {
        get
        {
            _process!.Refresh();
            return _process.PeakWorkingSet64;
        }
    }

    /// <summary>Files and sockets that it has open (on Linux).</summary>
    public int Handles => Directory.GetFileSystemEntries($"/proc/{_process!.Id}/fd").Length;

    /// <summary>Whether it has ended.</summary>
    public bool IsOver => _process!.HasExited;

    public HttpClient Http => _http;

    /// <summary>Lines on standard output so far.</summary>
    public IReadOnlyCollection<string> Output => _output;

    /// <summary>Lines on standard error so far.</summary>
    public IReadOnlyCollection<string> Errors => _errors;

    public string this[string key]
    {
        set => _settings[key] = value;
    }

    /// <summary>Starts it and waits for nothing.</summary>
    public void Launch()
    {
        string[] command = [.. Under, "dotnet", Path.Combine(ProgramFolder, "SimpleChat.dll"), "--urls", "http://127.0.0.1:0"];
        var start = new ProcessStartInfo(command[0], command[1..])
        {
            WorkingDirectory = WorkingDirectory,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["ASPNETCORE_ENVIRONMENT"] = Environment;
        start.Environment["DOTNET_hostBuilder__reloadConfigOnChange"] = "false"; // a machine has few file watchers to give
        start.Environment["DOTNET_EnableDiagnostics"] = "0"; // whoever is killed would leave its debugger's pipes in the temporary folder
#if DEBUG
        start.Environment["DOTNET_TieredPGO"] = "0"; // it is over before a profile of it would help
#endif
        foreach (var (name, value) in Variables)
            start.Environment[name] = value;
        if (DatabasePath.Length > 0)
            start.ArgumentList.Add($"--ConnectionStrings:Chat=Data Source={DatabasePath}");
        foreach (var (key, value) in _settings)
            start.ArgumentList.Add($"--{key}={value}");

        _process = new Process { StartInfo = start };
        _process.OutputDataReceived += (_, line) =>
        {
            if (line.Data is null)
                return;
            _output.Enqueue(line.Data);
            if (Address().Match(line.Data) is { Success: true } address)
                _listening.TrySetResult(new Uri(address.Value));
        };
        _process.ErrorDataReceived += (_, line) =>
        {
            if (line.Data is not null)
                _errors.Enqueue(line.Data);
        };
        _process.Start();
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    /// <summary>Starts it and waits until it listens.</summary>
    public Task<ChatProcess> StartAsync()
    {
        Launch();
        return ListensAsync();
    }

    /// <summary>Waits until it listens; throws if it ends instead.</summary>
    public async Task<ChatProcess> ListensAsync()
    {
        var first = await Task.WhenAny(_listening.Task, _process!.WaitForExitAsync()).OrFail("a server process that listens");
        if (first != _listening.Task)
        {
            throw new InvalidOperationException(
                $"The server ended with {_process.ExitCode}: {string.Join('\n', _output.Concat(_errors))}");
        }

        Url = await _listening.Task;
        _http.BaseAddress = Url;
        return this;
    }

    /// <summary>Starts it and waits until it is over.</summary>
    /// <returns>Its exit code.</returns>
    public Task<int> RunAsync()
    {
        Launch();
        return ExitAsync();
    }

    /// <summary>Waits until it is over and all that it printed is there.</summary>
    /// <returns>Its exit code.</returns>
    public async Task<int> ExitAsync()
    {
        await _process!.WaitForExitAsync().OrFail("the end of the server process");
        return _process.ExitCode;
    }

    /// <summary>Completes when it is over, however long that takes.</summary>
    public Task OverAsync() => _process!.WaitForExitAsync();

    /// <summary>SIGKILL: no chance to do anything any more.</summary>
    public void Kill() => _process!.Kill();

    /// <summary>SIGTERM: asks it to end.</summary>
    public void Terminate() => _process!.Terminate();

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        if (_process is null)
            return;
        if (!_process.HasExited)
            _process.Kill(entireProcessTree: true); // under a shell, the server too, which has the shell's output
        await ExitAsync();
        _process.Dispose();
    }

    [GeneratedRegex(@"(?<=listens on )http://\S+:\d+")]
    private static partial Regex Address();
}
