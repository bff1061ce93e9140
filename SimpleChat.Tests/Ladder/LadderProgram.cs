using System.Diagnostics;
using System.Text.RegularExpressions;

namespace SimpleChat.Tests.Ladder;

/// <summary>
/// A single file of the ladder, built as <c>dotnet run</c> builds it: with the repository's properties, warnings as errors and analyzers.
/// What is built lies in a temporary folder and in the SDK's own cache, nothing in the work tree.
/// </summary>
internal sealed partial class LadderProgram
{
    /// <summary>Two builds fill two cores.</summary>
    private static readonly SemaphoreSlim Builds = new(2);

    /// <summary>A build waits for its turn, and is slow on a machine with other things to do.</summary>
    private static readonly TimeSpan BuildTime = TimeSpan.FromMinutes(4);

    private readonly string _assembly;

    private LadderProgram(string assembly)
    {
        _assembly = assembly;
    }

    /// <summary>Builds a file.</summary>
    /// <param name="file">Its path below <c>ladder/</c>.</param>
    /// <param name="folder">Where the result goes, in a folder of its own.</param>
    /// <exception cref="InvalidOperationException">It does not build; the message has the compiler's words.</exception>
    public static async Task<LadderProgram> BuildAsync(string file, TempFolder folder)
    {
        var name = Path.GetFileNameWithoutExtension(file);
        var start = new ProcessStartInfo(
            "dotnet", ["build", Path.Combine(ArchitectureTests.Root, "ladder", file), "--output", folder.File(name), "--nologo",
                "--verbosity", "quiet"]);
        start.Environment["UseSharedCompilation"] = "true"; // sixteen compilers one after the other would each have to warm up
        start.Environment["MSBUILDDISABLENODEREUSE"] = "1"; // nothing but the compiler stays behind
        await Builds.WaitAsync();
        try
        {
            var (output, exitCode) = await RunAsync(start, BuildTime);
            if (exitCode != 0)
                throw new InvalidOperationException($"ladder/{file} does not build:\n{output}");
        }
        finally
        {
            Builds.Release();
        }

        return new LadderProgram(folder.File(Path.Combine(name, $"{name}.dll")));
    }

    /// <summary>Runs it to its end.</summary>
    /// <returns>All that it printed.</returns>
    /// <exception cref="InvalidOperationException">It ended with another code than 0; the message has what it printed.</exception>
    public async Task<string> RunAsync(params string[] arguments)
    {
        var (output, exitCode) = await RunAsync(new ProcessStartInfo("dotnet", [_assembly, .. arguments]), TimeSpan.FromMinutes(2));
        return exitCode == 0 ? output : throw new InvalidOperationException($"{_assembly} ended with {exitCode}:\n{output}");
    }

    /// <summary>Starts it as a server, on a port that is free, with its database in <paramref name="folder"/>.</summary>
    /// <returns>The process, which the caller kills, and where it listens.</returns>
    public async Task<(Process Server, Uri Url)> StartAsync(TempFolder folder)
    {
        var listening = new TaskCompletionSource<Uri>(TaskCreationOptions.RunContinuationsAsynchronously);
        var start = new ProcessStartInfo("dotnet", [_assembly, "http://127.0.0.1:0"])
        {
            WorkingDirectory = Path.GetDirectoryName(folder.DatabasePath)!,
            RedirectStandardOutput = true,
        };
        start.Environment["DOTNET_hostBuilder__reloadConfigOnChange"] = "false"; // a machine has few file watchers to give
        start.Environment["DOTNET_EnableDiagnostics"] = "0"; // whoever is killed would leave its debugger's pipes in the temporary folder
        var server = new Process { StartInfo = start };
        server.OutputDataReceived += (_, line) =>
        {
            if (line.Data is not null && Address().Match(line.Data) is { Success: true } address)
                listening.TrySetResult(new Uri(address.Value));
        };
        server.Start();
        server.BeginOutputReadLine();
        return (server, await listening.Task.OrFail($"{Path.GetFileName(_assembly)} listens"));
    }

    private static async Task<(string Output, int ExitCode)> RunAsync(ProcessStartInfo start, TimeSpan time)
    {
        start.RedirectStandardOutput = true;
        start.RedirectStandardError = true;
        using var process = Process.Start(start)!;
        var reading = Task.WhenAll(process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        try
        {
            await process.WaitForExitAsync().WaitAsync(time);
            return (string.Concat(await reading.WaitAsync(time)), process.ExitCode);
        }
        finally
        {
            if (!process.HasExited)
                process.Kill(entireProcessTree: true);
        }
    }

    [GeneratedRegex(@"(?<=listening on: )http://\S+:\d+")]
    private static partial Regex Address();
}
