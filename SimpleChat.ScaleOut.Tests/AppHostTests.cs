using System.Diagnostics;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace SimpleChat.Tests;

/// <summary>
/// The whole picture with one command, <c>dotnet run --project SimpleChat.AppHost</c>. It is not in the solution: what it is built with is
/// 300 MB of packages. Where <c>dotnet build SimpleChat.AppHost</c> was not done, its tests are skipped; where CI=true they fail.
/// </summary>
public sealed partial class AppHostTests
{
    private static readonly string s_program = AppContext.BaseDirectory
        .Replace("SimpleChat.ScaleOut.Tests", "SimpleChat.AppHost", StringComparison.Ordinal) + "SimpleChat.AppHost.dll";

    /// <summary>How many ports it takes, in a row.</summary>
    private const int Ports = 9;

    private static string? Missing => Environment.GetEnvironmentVariable("CI") == "true" ? null
        : Engines.Missing ?? Balancer.Missing ?? (File.Exists(s_program) ? null : "Not built: dotnet build SimpleChat.AppHost");

    [Built]
    public async Task One_command_starts_all_of_it_shows_a_messages_way_over_both_nodes_and_leaves_nothing_behind()
    {
        var port = LoopbackPort.Free(inARow: Ports);
        using var all = Process.Start(new ProcessStartInfo("dotnet", [s_program, "--port", $"{port}"]) { RedirectStandardOutput = true })!;
        try
        {
            var said = "";
            while (!said.Contains("Ctrl+C", StringComparison.Ordinal))
            {
                var line = await all.StandardOutput.ReadLineAsync().WaitAsync(3 * Deadline.Time); // seven programs, one after another
                said += line ?? throw new InvalidOperationException(said);
            }

            _ = all.StandardOutput.ReadToEndAsync();
            using var http = new HttpClient();
            Assert.Contains("SimpleChat", await http.GetStringAsync($"http://localhost:{port}"), StringComparison.Ordinal);
            await using var alice = await ChatClient.ConnectAsync(new Uri($"http://localhost:{port + 1}"), "alice");
            await using var bob = await ChatClient.ConnectAsync(new Uri($"http://localhost:{port + 2}"), "bob");
            await Deadline.UntilAsync(async () =>
            {
                await alice.SendAndConfirmAsync("bob", "hi bob");
                await bob.FindAsync("message");
                await alice.FindAsync("delivered");
                return IsOverBothNodes(await http.GetStringAsync($"http://localhost:{port + 4}/api/telemetry/traces"));
            }, "a trace over both nodes at the dashboard");
        }
        finally
        {
            all.Interrupt();
            await all.WaitForExitAsync().OrFail("the end after Ctrl+C");
        }

        Assert.Equal(0, all.ExitCode);
        await Deadline.UntilAsync(() => Task.FromResult(LoopbackPort.AreFree(port, Ports)), "the end of everything that has listened");
        await Deadline.UntilAsync(() => Task.FromResult(!Directory.EnumerateFiles("/proc", "cmdline", new EnumerationOptions
        {
            RecurseSubdirectories = true,
            MaxRecursionDepth = 1,
        }).Any(file => IsOurs(file, port))), "the end of every process"); // which comes after the end of what it has open
    }

    [Built]
    public async Task A_program_that_is_not_installed_is_named_with_the_package_that_brings_it()
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!, [s_program]);
        start.Environment["PATH"] = "/nowhere";
        var (code, said) = await Tool.RunAsync(start);
        Assert.Equal((1, "redis-server is not installed. On Debian and Ubuntu: apt-get install redis-server"), (code, said));
    }

    /// <summary>Whether one trace has what both nodes did with a message. The dashboard answers with OTLP, as JSON.</summary>
    private static bool IsOverBothNodes(string traces)
    {
        using var json = JsonDocument.Parse(traces);
        var spans =
            from resource in json.RootElement.GetProperty("data").GetProperty("resourceSpans").EnumerateArray()
            let node = Service().Match(resource.GetProperty("resource").GetRawText()).Groups[1].Value
            from scope in resource.GetProperty("scopeSpans").EnumerateArray()
            from span in scope.GetProperty("spans").EnumerateArray()
            group $"{node}: {span.GetProperty("name")}" by span.GetProperty("traceId").GetString();
        string[] way =
        [
            "node1: received", "node1: waited for the pen", "node1: stored", "node1: announced",
            "node2: heard and pushed", "node2: delivered",
        ];
        return spans.Any(trace => way.All(trace.Contains));
    }

    private static bool IsOurs(string commandLine, int port)
    {
        try
        {
            return Regex.IsMatch(File.ReadAllText(commandLine), $@"\b{port + 5}\b");
        }
        catch (IOException)
        {
            return false; // it has ended
        }
    }

    [GeneratedRegex("""service\.name".{1,30}"(node\d)""")]
    private static partial Regex Service();

    private sealed class BuiltAttribute : Xunit.FactAttribute
    {
        public BuiltAttribute() => Skip = Missing;
    }
}
