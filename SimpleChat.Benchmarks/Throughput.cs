namespace SimpleChat.Benchmarks;

/// <summary>How many messages per second, with so many sent and not yet confirmed that there is always something to do.</summary>
internal static class Throughput
{
    /// <summary>How many write to each other, and how many messages each sends before it waits for an answer.</summary>
    public const int PairCount = 100, Window = 16;

    private const int LoneWindow = 64;

    /// <summary>What one round came to.</summary>
    /// <param name="Confirmed">Messages per second that the senders heard confirmed.</param>
    /// <param name="Arrived">Messages per second that reached their recipients.</param>
    /// <param name="Load">While it was measured.</param>
    public sealed record Result(double Confirmed, double Arrived, Load Load)
    {
        /// <summary>The figure: who is behind counts.</summary>
        public double PerSecond => Math.Min(Confirmed, Arrived);
    }

    public static void Relay(Run run)
    {
        const string what = "relay baseline, no storage";
        var rounds = run.Rounds(what, () =>
        {
            using var server = ServerProcess.Relay();
            return Pairs(server, run.Options, receipts: true);
        });
        run.Relay = run.Report.Add(LineOf("baseline-relay", what, rounds) with
        {
            Note = "the same frames as the server's, \"delivered\" too",
        }).Median;
    }

    /// <summary>Between 100 pairs: on one core, on all, and when each message names itself.</summary>
    public static void Durable(Run run)
    {
        var what = $"durable throughput, {PairCount} pairs, window {Window}";
        var line = LineOf("throughput", what, run.Rounds(what, () => Fresh(Place.OneCore)));
        var ofLimit = line.Median / run.Limit;
        bool? reached = ofLimit is null ? null : ofLimit >= 0.6;
        run.Throughput = run.Report.Add(line with { Goal = "60% of limit", Reached = reached, OfLimit = ofLimit }).Median;

        what = "  server free to use all cores";
        line = LineOf("throughput", what, run.Rounds(what, () => Fresh(Place.AllCores)));
        run.Report.Add(line with { Goal = "as on one", Reached = line.Median >= run.Throughput, OfLimit = line.Median / run.Limit });

        what = "  with a clientMessageId each";
        line = LineOf("throughput", what, run.Rounds(what, () => Fresh(Place.OneCore, clientMessageIds: true)));
        run.Report.Add(line with { OfLimit = line.Median / run.Limit });

        Result Fresh(Place place, bool clientMessageIds = false)
        {
            using var server = run.StartServer(place);
            return Pairs(server, run.Options, clientMessageIds: clientMessageIds);
        }
    }

    /// <summary>One sender and one recipient.</summary>
    public static void Single(Run run)
    {
        var what = $"one sender alone, window {LoneWindow}";
        var line = LineOf("single", what, run.Rounds(what, () =>
        {
            using var server = run.StartServer();
            using var crowd = Crowd.OneSender(server.Port, LoneWindow);
            return Measure([server], crowd, run.Options, receipts: true);
        }));
        run.Report.Add(line.AtLeast(10_000));
    }

    /// <summary>Between 100 pairs again, in a file that has grown.</summary>
    public static void Big(Run run)
    {
        var what = $"  with {run.Options.Stored / 1e6:0.##} million messages stored";
        var database = run.StoredDatabase;
        var line = LineOf("big", what, run.Rounds(what, () =>
        {
            using var server = ServerProcess.Chat(run.ServerFolder, database);
            return Pairs(server, run.Options);
        }));
        var share = line.Median / run.Throughput;
        run.Report.Add(line with
        {
            Goal = "80% of empty",
            Reached = share is null ? null : share >= 0.8,
            OfLimit = line.Median / run.Limit,
            Note = share is null ? "" : $"{share:0%} of the throughput on an empty file",
        });
    }

    /// <summary>Bytes that the server allocates for each message, all threads.</summary>
    public static void Allocation(Run run)
    {
        const string what = "allocation per message";
        var collections = 0.0;
        var rounds = run.Rounds(what, () =>
        {
            var counters = Path.ChangeExtension(run.NewFile(), "socket");
            using var server = ServerProcess.Chat(run.ServerFolder, run.NewFile(), countersSocket: counters);
            using var crowd = Crowd.Pairs([server.Port], PairCount, Window);
            var (before, after) = Watch(crowd, run.Options, receipts: true, Read);
            var messages = after.Confirmed - before.Confirmed;
            collections = (after.Collections - before.Collections) * 1e6 / messages;
            return (double)(after.Bytes - before.Bytes) / messages;

            (long Bytes, int Collections, long Confirmed) Read()
            {
                var read = StartupHook.Read(counters);
                return (read.Bytes, read.Collections, crowd.Confirmed);
            }
        });
        run.Report.Add(
            new Line("allocation", what, "bytes", [.. rounds], Note: $"{collections:0} collections in a million messages").AtMost(500));
    }

    /// <summary>Between 100 pairs, once.</summary>
    public static Result Pairs(ServerProcess server, Options options, bool receipts = true, bool clientMessageIds = false)
    {
        using var crowd = Crowd.Pairs([server.Port], PairCount, Window, clientMessageIds);
        return Measure([server], crowd, options, receipts);
    }

    /// <summary>Lets a crowd send for a while.</summary>
    public static Result Measure(ServerProcess[] servers, Crowd crowd, Options options, bool receipts)
    {
        var (before, after) = Watch(crowd, options, receipts, () => (Used: Usage.Now(servers), crowd.Confirmed, crowd.Arrived));
        var seconds = (after.Used.At - before.Used.At).TotalSeconds;
        return new Result(
            (after.Confirmed - before.Confirmed) / seconds, (after.Arrived - before.Arrived) / seconds,
            Load.Between(before.Used, after.Used));
    }

    /// <summary>Lets a crowd send for a while.</summary>
    /// <param name="crowd">The crowd.</param>
    /// <param name="options">How long it warms up, and how long it is watched.</param>
    /// <param name="receipts">Whether it waits for receipts at the end.</param>
    /// <param name="read">Reads what is watched.</param>
    /// <returns>What was read when it was warm, and at the end.</returns>
    public static (T Before, T After) Watch<T>(Crowd crowd, Options options, bool receipts, Func<T> read)
    {
        crowd.Start();
        Thread.Sleep(options.Warmup);
        crowd.Verdict.Check();
        var before = read();
        Thread.Sleep(options.Measured);
        var after = read();
        crowd.Settle(receipts);
        return (before, after);
    }

    /// <summary>The line of the table.</summary>
    public static Line LineOf(string mode, string what, List<Result> rounds) => new(
        mode,
        what,
        "messages/s",
        [.. rounds.Select(round => round.PerSecond)],
        Load: Load.Worst(rounds.Select(round => round.Load)),
        Note: $"confirmed {Line.MedianOf(rounds.Select(r => r.Confirmed)):N0}, arrived {Line.MedianOf(rounds.Select(r => r.Arrived)):N0}");
}
