using System.Runtime.InteropServices;

namespace SimpleChat.Benchmarks;

/// <summary>
/// From the moment a message was meant to be sent to its arrival, at a fixed rate that nothing slows down: a server that stalls is charged
/// with every message that was due meanwhile, and so is the generator if it comes late.
/// </summary>
internal static partial class Latency
{
    private const int PairCount = 100, PerSecond = 5_000;

    /// <summary>What one round came to: half, 99 and 99.9 of a hundred messages took at most so many milliseconds.</summary>
    internal sealed record Result(double Half, double Most, double Worst, long Count, Load Load);

    public static void Measure(Run run) => Measure(run, "latency", "latency", PerSecond, (Half: 1, Most: 5), () =>
    {
        using var server = run.StartServer();
        using var crowd = Pairs([server]);
        return Round(run.Options, crowd, [server], PerSecond);
    });

    /// <summary>100 pairs of users, of whom each has the next server.</summary>
    public static Crowd Pairs(ServerProcess[] servers) =>
        Crowd.Pairs([.. servers.Select(server => server.Port)], PairCount, window: 0, latencies: new Latencies());

    /// <summary>The same users of the SignalR servers.</summary>
    public static Crowd PeerPairs(ServerProcess[] servers) =>
        Crowd.PeerPairs([.. servers.Select(server => server.Port)], PairCount, window: 0, latencies: new Latencies());

    /// <summary>Runs the rounds, and reports them.</summary>
    /// <param name="run">The run.</param>
    /// <param name="mode">Which mode it is.</param>
    /// <param name="name">What is measured.</param>
    /// <param name="perSecond">Messages per second.</param>
    /// <param name="goals">Milliseconds that half and 99 of a hundred should take at most; null if it is there to compare with.</param>
    /// <param name="round">Runs one.</param>
    /// <returns>The medians of what half and 99 of a hundred took.</returns>
    public static (double Half, double Most) Measure(
        Run run, string mode, string name, int perSecond, (double Half, double Most)? goals, Func<Result> round)
    {
        var what = $"{name} at {perSecond:N0} messages/s";
        var rounds = run.Rounds(what, round);
        var load = Load.Worst(rounds.Select(round => round.Load));
        var (worst, count) = (Line.MedianOf(rounds.Select(round => round.Worst)), rounds.Sum(round => round.Count));
        return (
            Report(what + ", p50", round => round.Half, goals?.Half, "from the intended send time to the arrival at the recipient"),
            Report(what + ", p99", round => round.Most, goals?.Most, $"p99.9: {worst:0.00} ms; {count:N0} messages in all"));

        double Report(string line, Func<Result, double> figure, double? goal, string note)
        {
            var row = new Line(mode, line, "ms", [.. rounds.Select(figure)], Load: load, Note: note);
            return run.Report.Add(goal is { } most ? row.AtMost(most) : row).Median;
        }
    }

    /// <summary>Runs one round.</summary>
    /// <param name="options">How long.</param>
    /// <param name="crowd">Who writes to one another, each at the same rate.</param>
    /// <param name="servers">Whose load is measured.</param>
    /// <param name="perSecond">Messages per second.</param>
    /// <param name="receipts">Whether the servers send them.</param>
    public static Result Round(Options options, Crowd crowd, ServerProcess[] servers, int perSecond, bool receipts = true)
    {
        var latencies = crowd.Latencies!;
        var start = SendFrame.Now + 1_000;
        latencies.CountFrom(start + (long)options.Warmup.TotalMicroseconds);
        var warmup = (long)(options.Warmup.TotalSeconds * perSecond);
        var messages = warmup + (long)(options.Measured.TotalSeconds * perSecond);
        var load = Load.Measure(servers);
        for (var i = 0L; i < messages; i++)
        {
            var intended = start + (i * 1_000_000 / perSecond);
            SleepUntil(intended);
            crowd.Users[(int)(i % crowd.Users.Count)].Send(intended);
            if (i == warmup)
                load = Load.Measure(servers);
            if (i % perSecond == 0)
                crowd.Verdict.Check();
        }

        var used = load();
        crowd.Settle(receipts);
        return new Result(latencies.Percentile(0.5), latencies.Percentile(0.99), latencies.Percentile(0.999), latencies.Count, used);
    }

    /// <summary>Sleeps to some ten microseconds, which .NET doesn't offer; where the system doesn't either, it spins.</summary>
    private static void SleepUntil(long micros)
    {
        for (var left = micros - SendFrame.Now; left > 0; left = micros - SendFrame.Now)
        {
            if (OperatingSystem.IsWindows())
                Thread.SpinWait(20);
            else
                _ = usleep((uint)left);
        }
    }

    [LibraryImport("libc")]
    private static partial int usleep(uint micros);
}
