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

    public static void Measure(Run run) => Measure(run, "latency", "latency", PerSecond, (Half: 1, Most: 5), round =>
    {
        using var server = run.StartServer();
        return round([server]);
    });

    /// <summary>Between 100 pairs, of whom each has the next server.</summary>
    /// <param name="run">The run.</param>
    /// <param name="mode">Which mode it is.</param>
    /// <param name="name">What is measured.</param>
    /// <param name="perSecond">Messages per second.</param>
    /// <param name="goals">Milliseconds that half and 99 of a hundred should take at most.</param>
    /// <param name="withServers">Calls what it is given with servers that run, stops them, and returns what that returned.</param>
    public static void Measure(
        Run run, string mode, string name, int perSecond, (double Half, double Most) goals,
        Func<Func<ServerProcess[], Result>, Result> withServers)
    {
        var what = $"{name} at {perSecond:N0} messages/s";
        var rounds = run.Rounds(what, () => withServers(servers => Round(run.Options, servers, perSecond)));
        var load = Load.Worst(rounds.Select(round => round.Load));
        var (worst, count) = (Line.MedianOf(rounds.Select(round => round.Worst)), rounds.Sum(round => round.Count));
        Report(what + ", p50", round => round.Half, goals.Half, "from the intended send time to the arrival at the recipient");
        Report(what + ", p99", round => round.Most, goals.Most, $"p99.9: {worst:0.00} ms; {count:N0} messages in all");

        void Report(string line, Func<Result, double> figure, double goal, string note) =>
            run.Report.Add(new Line(mode, line, "ms", [.. rounds.Select(figure)], Load: load, Note: note).AtMost(goal));
    }

    private static Result Round(Options options, ServerProcess[] servers, int perSecond)
    {
        var latencies = new Latencies();
        using var crowd = Crowd.Pairs([.. servers.Select(server => server.Port)], PairCount, window: 0, latencies: latencies);
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
        crowd.Settle(receipts: true);
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
