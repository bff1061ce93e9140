using System.Globalization;
using Npgsql;
using SimpleChat.Tests;

namespace SimpleChat.Benchmarks;

/// <summary>
/// What nodes could carry: a model, whose inputs are measured with one node. What it says of two nodes on this machine is measured, too.
/// </summary>
internal static class Capacity
{
    private const string Mode = "capacity";
    private const double Micro = 1e6;

    /// <summary>What one run cost. Times are microseconds of a core for a message.</summary>
    /// <param name="PerSecond">Messages per second.</param>
    /// <param name="Node">All nodes together.</param>
    /// <param name="Last">The last node alone.</param>
    /// <param name="Postgres">PostgreSQL, all of its processes.</param>
    /// <param name="Redis">Redis.</param>
    /// <param name="Generator">This program.</param>
    /// <param name="Batch">Messages in a commit.</param>
    private sealed record Cost(double PerSecond, double Node, double Last, double Postgres, double Redis, double Generator, double Batch)
    {
        /// <summary>All that a message costs on this machine.</summary>
        public double Total => Node + Postgres + Redis + Generator;
    }

    /// <summary>The inputs of the model. Times are microseconds.</summary>
    /// <param name="Node">A node's time for a message that it stores or pushes.</param>
    /// <param name="Heard">A node's time for a message that it only hears of.</param>
    /// <param name="Redis">Redis's time for a message that one other node hears of.</param>
    /// <param name="Commit">PostgreSQL's time for a commit, however many messages are in it.</param>
    /// <param name="Message">PostgreSQL's time for each message in it.</param>
    /// <param name="Flush">The disk's time for a commit.</param>
    private sealed record Inputs(double Node, double Heard, double Redis, double Commit, double Message, double Flush);

    public static void Measure(Run run)
    {
        var folder = run.NewFile();
        using var engines = Cores.Start(Place.AllCores, () => new Engines(folder, roomy: true));
        const int Window = Benchmarks.Throughput.Window;
        var full = Add("one node", 1, 1, Window);
        var half = Add("one node, half as much in flight", 1, 1, Window / 2);
        var listening = Add("one node, and one that only hears", 2, 1, Window);
        var lone = Add("one message at a time", 1, 1, window: 1, pairs: 1);

        var commit = Math.Max(0, (half.Postgres - full.Postgres) / ((1 / half.Batch) - (1 / full.Batch)));
        var message = Math.Max(0, full.Postgres - (commit / full.Batch));
        var flush = Math.Max(0, (Micro / lone.PerSecond) - lone.Node - lone.Generator - commit - message);
        var inputs = new Inputs(full.Node, listening.Last, listening.Redis, commit, message, flush);
        Say("a node, for a message of its own", inputs.Node);
        Say("a node, for a message that it only hears of", inputs.Heard);
        Say("Redis, for a message to one other node", inputs.Redis);
        Say("PostgreSQL, for a commit", inputs.Commit);
        Say("PostgreSQL, for each message in it", inputs.Message);
        Say("the disk, for a commit", inputs.Flush);

        // On this machine everything shares the cores: two nodes get as much of them together as one did, and have half the batches each.
        var busy = full.PerSecond * full.Total / Micro;
        var cost = half.Node + half.Postgres + inputs.Heard + inputs.Redis + full.Generator;
        var predicted = run.Report.Add(new Line(Mode, "two nodes here, predicted", "messages/s", [busy * Micro / cost])).Median;
        var two = Add("two nodes", 2, 2, Window);
        run.Report.Add(new Line(Mode, "  predicted, in terms of measured", "times", [predicted / two.PerSecond],
            Goal: "within 20%", Reached: Math.Abs((predicted / two.PerSecond) - 1) <= 0.2));

        // On machines of their own: a core for each node, one for Redis, and PostgreSQL.
        foreach (var nodes in (int[])[1, 2, 4, 8, 16, 32])
        {
            var (perSecond, limit) = Simulate(inputs, nodes, inFlight: nodes * Benchmarks.Throughput.PairCount * Window);
            var what = $"{nodes} nodes on cores of their own, predicted";
            run.Report.Add(new Line(Mode, what, "messages/s", [perSecond], Note: $"the limit is {limit}"));
        }

        Cost Add(string what, int count, int used, int window, int pairs = Benchmarks.Throughput.PairCount)
        {
            var rounds = run.Rounds(what, () => MeasureOnce(run, engines, folder, count, used, pairs, window));
            var median = rounds.OrderBy(round => round.PerSecond).ElementAt(rounds.Count / 2);
            run.Report.Add(new Line(Mode, what, "messages/s", [.. rounds.Select(round => round.PerSecond)], Note: Describe(median)));
            return median;
        }

        void Say(string what, double micros) => run.Report.Add(new Line(Mode, "  " + what, "µs", [micros]));
    }

    /// <summary>
    /// Plays a while of nodes that take turns with the pen. Each has two batches under way: one commits, one is pushed and sent anew.
    /// </summary>
    /// <returns>Messages per second, and who was busiest.</returns>
    private static (double PerSecond, string Limit) Simulate(Inputs inputs, int nodes, int inFlight)
    {
        const double Long = 2 * Micro; // of played time
        var size = Math.Max(1, inFlight / nodes / 2);
        var (pen, redis, nodeTime, penTime, redisTime, stored) = (0.0, 0.0, 0.0, 0.0, 0.0, 0L);
        var busyUntil = new double[nodes];
        var waiting = new PriorityQueue<int, double>(Enumerable.Range(0, 2 * nodes).Select(batch => (batch % nodes, (double)batch)));
        while (waiting.TryDequeue(out var node, out var ready) && Math.Max(ready, pen) < Long)
        {
            var commit = inputs.Commit + inputs.Flush + (size * inputs.Message);
            pen = Math.Max(pen, ready) + commit;
            penTime += commit;
            var announcing = size * inputs.Redis * (nodes - 1);
            redis = Math.Max(redis, pen) + announcing;
            redisTime += announcing;
            for (var other = 0; other < nodes; other++)
            {
                var work = size * (other == node ? inputs.Node : inputs.Heard);
                busyUntil[other] = Math.Max(busyUntil[other], other == node ? pen : redis) + work;
                nodeTime += work / nodes;
            }

            stored += size;
            waiting.Enqueue(node, Math.Max(busyUntil[node], redis));
        }

        var limit = penTime >= Math.Max(redisTime, nodeTime) ? "the pen" : redisTime >= nodeTime ? "Redis" : "the nodes";
        return (stored / Long * Micro, limit);
    }

    private static Cost MeasureOnce(Run run, Engines engines, string folder, int count, int used, int pairs, int window) =>
        ScaledOut.WithNodes(run, engines, count, Place.AllCores, (servers, postgres) =>
        {
            using var crowd = Crowd.Pairs([.. servers.Take(used).Select(server => server.Port)], pairs, window);
            var (before, after) = Benchmarks.Throughput.Watch(crowd, run.Options, receipts: true, () => new Reading(
                Usage.Now(servers), crowd.Arrived, CommitsOf(postgres), servers[^1].ProcessorTime,
                TimeOf("postgres", folder), TimeOf("redis-server", folder)));
            var messages = (double)(after.Messages - before.Messages);
            return new Cost(messages / (after.Used.At - before.Used.At).TotalSeconds, Of(now => now.Used.Servers), Of(now => now.Last),
                Of(now => now.Postgres), Of(now => now.Redis), Of(now => now.Used.Generator),
                messages / Math.Max(1, after.Commits - before.Commits));

            double Of(Func<Reading, TimeSpan> time) => (time(after) - time(before)).TotalMicroseconds / messages;
        });

    private static string Describe(Cost cost) => string.Create(CultureInfo.InvariantCulture,
        $"a message costs {cost.Node:0.0} µs of the nodes, {cost.Postgres:0.0} of PostgreSQL, {cost.Redis:0.0} of Redis, " +
        $"{cost.Generator:0.0} of the generator; {cost.Batch:0.0} messages in a commit");

    private static long CommitsOf(string postgres)
    {
        using var connection = new NpgsqlConnection($"{postgres};Pooling=false");
        connection.Open();
        using var command = new NpgsqlCommand(
            "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()", connection);
        return (long)command.ExecuteScalar()!;
    }

    /// <summary>The processor time of all processes of a program that work in a folder (proc_pid_stat(5): utime and stime).</summary>
    private static TimeSpan TimeOf(string program, string folder) =>
        TimeSpan.FromSeconds(Directory.EnumerateDirectories("/proc").Where(process => char.IsAsciiDigit(process[^1])).Sum(process =>
        {
            const double TicksPerSecond = 100;
            try
            {
                if (new FileInfo($"{process}/cwd").LinkTarget?.StartsWith(folder, StringComparison.Ordinal) != true)
                    return 0;
                var stat = File.ReadAllText($"{process}/stat");
                if (!stat.Contains($"({program})", StringComparison.Ordinal))
                    return 0;
                var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
                return (Ticks(fields[11]) + Ticks(fields[12])) / TicksPerSecond;
            }
            catch (IOException)
            {
                return 0; // it has ended
            }
        }));

    private static long Ticks(string field) => long.Parse(field, CultureInfo.InvariantCulture);

    /// <summary>What had been done, and used, at a moment.</summary>
    private sealed record Reading(Usage Used, long Messages, long Commits, TimeSpan Last, TimeSpan Postgres, TimeSpan Redis);
}
