namespace SimpleChat.Benchmarks;

/// <summary>What a connection costs that does nothing, and how fast connections are made.</summary>
internal static class IdleConnections
{
    /// <summary>Handshakes under way at once.</summary>
    private const int AtOnce = 64;

    private const int WarmupCount = 1_000;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);

    private sealed record Result(double BytesEach, double OpenedPerSecond);

    public static void Weigh(Run run)
    {
        var count = run.Options.Idle;
        Console.Error.WriteLine($"{count} idle connections, relay");
        using (var relay = ServerProcess.Relay())
            run.RelayIdleBytes = Weigh(relay, run).BytesEach;
        run.Report.Add(new Line("idle", $"idle connection at the relay, {count:N0} open", "bytes", [run.RelayIdleBytes.Value]));

        Console.Error.WriteLine($"{count} idle connections, server");
        using var server = run.StartServer();
        var result = Weigh(server, run);
        var ratio = result.BytesEach / run.RelayIdleBytes.Value;
        run.Report.Add(new Line(
            "idle",
            $"idle connection, {count:N0} open",
            "bytes",
            [result.BytesEach],
            "1.1 of relay, 15 KB",
            ratio <= 1.1 && result.BytesEach <= 15 * 1024,
            Note: $"resident, {ratio:0.00} of the relay's, {run.Options.Settle.TotalSeconds:0} s after the last one was opened; " +
                $"opened at {result.OpenedPerSecond:N0} a second"));
    }

    /// <summary>Opened, <c>connected</c> received, closed by both sides, and the next one.</summary>
    public static void Connects(Run run)
    {
        const string what = "connects, each closed again";
        var rounds = run.Rounds(what, () =>
        {
            using var server = run.StartServer();
            var verdict = new Verdict();
            var churn = new Churn(server.Port, verdict);
            churn.Start(AtOnce);
            Thread.Sleep(run.Options.Warmup);
            var load = Load.Measure(server);
            var (start, before) = (Stopwatch.GetTimestamp(), churn.Opened);
            Thread.Sleep(run.Options.Measured);
            var perSecond = (churn.Opened - before) / Stopwatch.GetElapsedTime(start).TotalSeconds;
            var used = load();
            churn.Stop();
            verdict.WaitFor(() => churn.Closed == churn.Opened, Patience,
                () => $"{churn.Opened - churn.Closed} connections are still open.");
            return (PerSecond: perSecond, Load: used);
        });
        var worst = Load.Worst(rounds.Select(round => round.Load));
        run.Report.Add(new Line("connects", what, "connects/s", [.. rounds.Select(round => round.PerSecond)], Load: worst).AtLeast(3_000));
    }

    private static Result Weigh(ServerProcess server, Run run)
    {
        var verdict = new Verdict();
        var warmup = new Churn(server.Port, verdict);
        warmup.Start(AtOnce, WarmupCount);
        verdict.WaitFor(() => warmup.Closed == WarmupCount, Patience, () => "the first connections did not come and go.");
        Thread.Sleep(500);
        var before = server.ResidentBytes;

        var start = Stopwatch.GetTimestamp();
        var connections = new List<IdleSocket>();
        try
        {
            var (begun, open) = (0, 0);
            while (open < run.Options.Idle)
            {
                while (begun < run.Options.Idle && begun - open < AtOnce)
                {
                    connections.Add(new IdleSocket(server.Port, begun++, verdict));
                    connections[^1].Open();
                }

                while (open < begun && connections[open].IsOpen)
                    open++;
                verdict.Check();
                if (Stopwatch.GetElapsedTime(start) > Patience)
                    throw new NotProvenException(
                        $"Only {open} of {run.Options.Idle} connections were opened within {Patience.TotalSeconds} s.");
                if (begun - open == AtOnce)
                    Thread.Yield();
            }

            var perSecond = open / Stopwatch.GetElapsedTime(start).TotalSeconds;
            Thread.Sleep(run.Options.Settle);
            verdict.Check(); // all are open still
            return new Result((double)(server.ResidentBytes - before) / open, perSecond);
        }
        finally
        {
            connections.ForEach(connection => connection.Dispose());
        }
    }

    /// <summary>Answers pings, and expects nothing else.</summary>
    private sealed class IdleSocket(int port, int number, Verdict verdict) : ClientSocket(port, $"idle{number:D6}", "chat", verdict, 512);

    /// <summary>Connections that come and go, a fixed number of them at a time.</summary>
    private sealed class Churn(int port, Verdict verdict)
    {
        private long _begun, _opened, _closed, _limit;

        public long Opened => Interlocked.Read(ref _opened);

        public long Closed => Interlocked.Read(ref _closed);

        public void Start(int atOnce, long limit = long.MaxValue)
        {
            _limit = limit;
            for (var i = 0; i < atOnce; i++)
                Next();
        }

        public void Stop() => Volatile.Write(ref _limit, 0);

        private void Next()
        {
            var number = Interlocked.Increment(ref _begun);
            if (number <= Volatile.Read(ref _limit))
                new ChurningSocket(this, port, number % 10_000, verdict).Open();
        }

        private sealed class ChurningSocket(Churn churn, int port, long number, Verdict verdict)
            : ClientSocket(port, $"churn{number}", "chat", verdict, 512)
        {
            protected override void OnOpen()
            {
                Interlocked.Increment(ref churn._opened);
                Close();
            }

            protected override void OnClosed()
            {
                Interlocked.Increment(ref churn._closed);
                churn.Next();
            }
        }
    }
}
