using System.Diagnostics;
using System.Text.RegularExpressions;

namespace SimpleChat.Tests.Ladder;

/// <summary>A single file of the ladder, built and ready to run.</summary>
/// <param name="assembly">What it was built to.</param>
internal sealed partial class LadderProgram(string assembly)
{
    /// <summary>What it was built to.</summary>
    public string Assembly => assembly;

    /// <summary>Far longer than any of them needs, on a machine with other things to do.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(4);

    /// <summary>Runs it to its end.</summary>
    /// <returns>All that it printed, without the last line's end.</returns>
    public Task<string> RunAsync(params string[] arguments) => RunAsync(new ProcessStartInfo("dotnet", [assembly, .. arguments]));

    /// <summary>Starts it as a server, on a port that is free, with its database in <paramref name="folder"/>.</summary>
    public Task<LadderServer> StartAsync(TempFolder folder) =>
        StartAsync(new ProcessStartInfo("dotnet", [assembly, "http://127.0.0.1:0"]), folder);

    /// <summary>Starts a server that says where it listens.</summary>
    public static async Task<LadderServer> StartAsync(ProcessStartInfo start, TempFolder folder)
    {
        var listening = new TaskCompletionSource<Uri>(TaskCreationOptions.RunContinuationsAsynchronously);
        start.WorkingDirectory = Path.GetDirectoryName(folder.DatabasePath)!;
        start.RedirectStandardOutput = true;
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
        return new LadderServer(server, await listening.Task.WaitAsync(Patience));
    }

    /// <summary>Runs a command to its end.</summary>
    /// <returns>All that it printed, without the last line's end.</returns>
    /// <exception cref="InvalidOperationException">It ended with another code than 0; the message has what it printed.</exception>
    public static async Task<string> RunAsync(ProcessStartInfo start)
    {
        var (code, said) = await Tool.RunAsync(start, Patience);
        return code == 0 ? said
            : throw new InvalidOperationException($"{string.Join(' ', start.ArgumentList)} ended with {code}:\n{said}");
    }

    [GeneratedRegex(@"(?<=listening on: )http://\S+:\d+")]
    private static partial Regex Address();
}
