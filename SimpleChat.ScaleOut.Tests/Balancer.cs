using System.Diagnostics;
using System.Runtime.CompilerServices;

namespace SimpleChat.Tests;

/// <summary>A test that needs HAProxy, a browser and the engines: skipped where one is missing; where CI=true it fails.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class BalancerFactAttribute : Xunit.FactAttribute
{
    public BalancerFactAttribute()
    {
        if (Environment.GetEnvironmentVariable("CI") != "true")
            Skip = Engines.Missing ?? Browser.Missing ?? Balancer.Missing;
    }
}

/// <summary>HAProxy in front of two nodes, with the file of <c>deploy/</c> as it is.</summary>
internal sealed class Balancer : IAsyncDisposable
{
    private const string Program = "/usr/sbin/haproxy";

    private readonly Process _master;

    private Balancer(Process master, int port, int layer4) =>
        (_master, Url, Layer4) = (master, new Uri($"http://localhost:{port}"), new Uri($"http://localhost:{layer4}"));

    /// <summary>What is not installed; null if it is there.</summary>
    public static string? Missing => File.Exists(Program) ? null : "HAProxy is missing: apt-get install haproxy";

    /// <summary>Where it looks into requests.</summary>
    public Uri Url { get; }

    /// <summary>Where it passes on TCP connections.</summary>
    public Uri Layer4 { get; }

    /// <summary>Starts it, and waits until it listens.</summary>
    public static async Task<Balancer> StartAsync(params Uri[] nodes)
    {
        var (port, layer4) = (LoopbackPort.Free(), LoopbackPort.Free());
        var start = new ProcessStartInfo(Program, ["-W", "-db", "-f", Path.Combine(Here(), "..", "deploy", "haproxy-scaled-out.cfg")])
        {
            RedirectStandardError = true,
            RedirectStandardOutput = true,
        };
        (start.Environment["LISTEN"], start.Environment["LISTEN_L4"]) = ($"127.0.0.1:{port}", $"127.0.0.1:{layer4}");
        (start.Environment["NODE1"], start.Environment["NODE2"]) = (nodes[0].Authority, nodes[1].Authority);
        var balancer = new Balancer(Process.Start(start)!, port, layer4);
        var said = balancer._master.StandardError.ReadToEndAsync();
        _ = balancer._master.StandardOutput.ReadToEndAsync();
        using var http = new HttpClient { BaseAddress = balancer.Url };
        await Deadline.UntilAsync(async () =>
        {
            if (balancer._master.HasExited)
                throw new InvalidOperationException($"HAProxy ended: {await said}");
            return await AnswersAsync(http);
        }, "HAProxy that listens");
        return balancer;
    }

    /// <summary>A new process takes over, as after a change of the file. The one before keeps the connections that it has.</summary>
    public async Task ReloadAsync()
    {
        var before = Workers();
        _ = await Tool.RunAsync("kill", "-USR2", $"{_master.Id}");
        await Deadline.UntilAsync(() => Task.FromResult(Workers().Except(before).Any()), "a new process of HAProxy");
    }

    public async ValueTask DisposeAsync()
    {
        _master.Terminate();
        try
        {
            await _master.WaitForExitAsync().OrFail("the end of HAProxy");
        }
        finally
        {
            _master.Kill(entireProcessTree: true);
            _master.Dispose();
        }
    }

    private string[] Workers() => File.ReadAllText($"/proc/{_master.Id}/task/{_master.Id}/children").Split(' ');

    private static async Task<bool> AnswersAsync(HttpClient http)
    {
        try
        {
            using var answer = await http.GetAsync(new Uri("alive", UriKind.Relative));
            return answer.IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }

    private static string Here([CallerFilePath] string here = "") => Path.GetDirectoryName(here)!;
}
