using System.Diagnostics;
using System.IO.Pipes;
using System.Net;
using System.Text.RegularExpressions;

namespace SimpleChat.Lab;

/// <summary>
/// The server's process, with the startup hook in it. It ends when this process does, however that ends: the hook notices that
/// its pipe has broken.
/// </summary>
internal sealed partial class ServerProcess : IDisposable
{
    /// <summary>What the server has not done by then, it will not do.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    private readonly Process _process = new();
    private readonly AnonymousPipeServerStream _toHook = new(PipeDirection.Out, HandleInheritability.Inheritable);
    private readonly AnonymousPipeServerStream _fromHook = new(PipeDirection.In, HandleInheritability.Inheritable);
    private readonly StreamWriter _orders;
    private readonly Queue<TaskCompletionSource<bool>> _ordered = [];
    private readonly TaskCompletionSource<IPEndPoint> _listening = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Task _exit;
    private string _lastLine = "";

    /// <param name="program">What to start.</param>
    /// <param name="folder">Where its files are.</param>
    /// <param name="origins">Which web pages may use it.</param>
    /// <param name="reached">This one is at a moment that is watched, and waits for <see cref="Go"/>.</param>
    /// <param name="printed">It printed a line.</param>
    public ServerProcess(ServedProgram program, string folder, string[] origins, Action<ServerProcess, string> reached,
        Action<string> printed)
    {
        _orders = new StreamWriter(_toHook) { AutoFlush = true };
        var start = _process.StartInfo;
        start.FileName = "dotnet";
        start.WorkingDirectory = folder;
        start.RedirectStandardInput = start.RedirectStandardOutput = start.RedirectStandardError = true;
        foreach (var argument in program.Arguments("http://127.0.0.1:0", folder, origins).Prepend(program.Assembly))
            start.ArgumentList.Add(argument);
        start.Environment["ASPNETCORE_ENVIRONMENT"] = "Development";
        start.Environment["DOTNET_EnableDiagnostics"] = "0"; // whoever is killed would leave its debugger's pipes in the temporary folder
        start.Environment["DOTNET_STARTUP_HOOKS"] = typeof(StartupHook).Assembly.Location;
        start.Environment[StartupHook.PipeVariable] = $"{_toHook.GetClientHandleAsString()} {_fromHook.GetClientHandleAsString()}";
        start.Environment[StartupHook.FolderVariable] = folder;
        _process.OutputDataReceived += (_, line) => Hear(line.Data, printed);
        _process.ErrorDataReceived += (_, line) => Hear(line.Data, printed);
        _process.Start();
        _toHook.DisposeLocalCopyOfClientHandle();
        _fromHook.DisposeLocalCopyOfClientHandle();
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
        (Id, _exit) = (_process.Id, _process.WaitForExitAsync());
        _ = HearHookAsync(reached);
    }

    /// <summary>Its process id.</summary>
    public int Id { get; }

    /// <summary>Waits until it listens.</summary>
    /// <returns>Where.</returns>
    /// <exception cref="LabException">It ended instead, or did nothing for a minute and was killed.</exception>
    public async Task<IPEndPoint> ListensAsync()
    {
        if (await FirstAsync(_listening.Task))
            return await _listening.Task;
        Kill();
        throw new LabException($"The server did not start: {_lastLine}");
    }

    /// <summary>Waits until it is over, and all that it printed is there.</summary>
    /// <returns>Its exit code.</returns>
    public async Task<int> ExitAsync()
    {
        await _exit;
        return _process.ExitCode;
    }

    /// <summary>Gives the hook an order.</summary>
    /// <returns>Whether it could be carried out; false too if the server is gone.</returns>
    public async Task<bool> OrderAsync(string order)
    {
        var done = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_ordered)
            _ordered.Enqueue(done);
        if (!Write(order))
            return false;
        return await FirstAsync(done.Task) && await done.Task;
    }

    /// <summary>Lets it go on from where it waits.</summary>
    public void Go() => Write("go");

    /// <summary>SIGKILL: no chance to do anything any more.</summary>
    public void Kill()
    {
        try
        {
            _process.Kill();
        }
        catch (InvalidOperationException)
        {
            // It is over already.
        }
    }

    /// <summary>SIGTERM: asks it to end, and kills it if it has not after a minute.</summary>
    public async Task TerminateAsync()
    {
        if (OperatingSystem.IsWindows())
            Kill();
        else
            Process.Start("kill", ["-TERM", $"{Id}"]).Dispose();
        if (!await FirstAsync(_exit))
            Kill();
    }

    public void Dispose()
    {
        Kill();
        _process.Dispose();
        _toHook.Dispose();
        _fromHook.Dispose();
    }

    /// <summary>Whether this comes before the process ends, and in time.</summary>
    private async Task<bool> FirstAsync(Task fact)
    {
        try
        {
            return await Task.WhenAny(fact, _exit).WaitAsync(Patience) == fact;
        }
        catch (TimeoutException)
        {
            return false;
        }
    }

    private bool Write(string order)
    {
        try
        {
            lock (_orders)
                _orders.WriteLine(order);
            return true;
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            return false; // the server is gone
        }
    }

    private void Hear(string? line, Action<string> printed)
    {
        if (line is null)
            return;
        if (Address().Match(line) is { Success: true } address)
        {
            _listening.TrySetResult(IPEndPoint.Parse(address.Value)); // nobody is to go there past the cables
            return;
        }

        if (line.Length > 0)
            _lastLine = line.Trim();
        printed(line);
    }

    private async Task HearHookAsync(Action<ServerProcess, string> reached)
    {
        try
        {
            using var lines = new StreamReader(_fromHook);
            while (await lines.ReadLineAsync() is { } line)
            {
                if (line.StartsWith("at ", StringComparison.Ordinal))
                {
                    reached(this, line[3..]);
                    continue;
                }

                lock (_ordered)
                {
                    if (_ordered.TryDequeue(out var done))
                        done.TrySetResult(line == "done");
                }
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            // The server is gone.
        }
    }

    [GeneratedRegex(@"(?<=listen\w* on:? http://)127\.0\.0\.1:\d+")]
    private static partial Regex Address();
}
