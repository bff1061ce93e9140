using System.Runtime.InteropServices;

namespace SimpleChat.Benchmarks;

/// <summary>
/// From the moment a message was meant to be sent to its arrival, at a fixed rate that nothing slows down: a server that stalls is charged
/// with every message that was due meanwhile, and so is the generator if it comes late.
/// </summary>
internal static partial class Latency
{
    private const int PairCount = 100, PerSecond = 5_000;

    private sealed record Result(double Half, double Most, double Worst, long Count, Load Load);

    public static void Measure(Run run)
    {
        var what = $"latency at {PerSecond:N0} messages/s";
        var rounds = run.Rounds(what, () => Round(run));
        var load = Load.Worst(rounds.Select(round => round.Load));
        var (worst, count) = (Line.MedianOf(rounds.Select(round => round.Worst)), rounds.Sum(round => round.Count));
        Report(what + ", p50", round => round.Half, 1, "from the intended send time to the arrival at the recipient");
        Report(what + ", p99", round => round.Most, 5, $"p99.9: {worst:0.00} ms; {count:N0} messages in all");

        void Report(string name, Func<Result, double> figure, double goal, string note) =>
            run.Report.Add(new Line("latency", name, "ms", [.. rounds.Select(figure)], Load: load, Note: note).AtMost(goal));
    }

    private static Result Round(Run run)
    {
        var latencies = new Latencies();
        using var server = run.StartServer();
        using var crowd = Crowd.Pairs(server.Port, PairCount, window: 0, latencies: latencies);
        var start = SendFrame.Now + 1_000;
        latencies.CountFrom(start + (long)run.Options.Warmup.TotalMicroseconds);
        var warmup = (long)(run.Options.Warmup.TotalSeconds * PerSecond);
        var messages = warmup + (long)(run.Options.Measured.TotalSeconds * PerSecond);
        var load = Load.Measure(server);
        for (var i = 0L; i < messages; i++)
        {
            var intended = start + (i * 1_000_000 / PerSecond);
            SleepUntil(intended);
            crowd.Users[(int)(i % crowd.Users.Count)].Send(intended);
            if (i == warmup)
                load = Load.Measure(server);
            if (i % PerSecond == 0)
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
