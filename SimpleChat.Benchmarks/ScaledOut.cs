using SimpleChat.Tests;

namespace SimpleChat.Benchmarks;

/// <summary>
/// Nodes on PostgreSQL and Redis, on this machine with everything else. Of each pair one user is on the first node and one on the second,
/// so that with two nodes every message crosses. They are held against the single server, and against SignalR with its Redis backplane.
/// </summary>
internal static class ScaledOut
{
    private const int PerSecond = 2_000;

    /// <summary>Messages per second, everybody free to use all cores.</summary>
    public static void Throughput(Run run)
    {
        const string mode = "nodes";
        using var engines = Start(run, Place.AllCores);
        var single = Add("single server, SQLite", null, () =>
        {
            using var server = run.StartServer(Place.AllCores);
            return Benchmarks.Throughput.Pairs(server, run.Options);
        });
        var one = Add("  one node", ("40% of it", 0.4 * single), () => Nodes(run, engines, 1, Place.AllCores));
        var two = Add("  two nodes", ("85% of one", 0.85 * one), () => Nodes(run, engines, 2, Place.AllCores));
        var peer = Add("  SignalR, Redis backplane, two servers", null, () => Peers(run, engines));
        run.Report.Add(new Line(mode, "  two nodes, in terms of SignalR", "times", [two / peer]).AtLeast(3));

        double Add(string what, (string Name, double Value)? goal, Func<Throughput.Result> round)
        {
            var line = Benchmarks.Throughput.LineOf(mode, what, run.Rounds(what, round));
            if (goal is { } least)
                line = line with { Goal = least.Name, Reached = line.Median >= least.Value };
            return run.Report.Add(line).Median;
        }
    }

    /// <summary>From the intended send time at one node to the arrival at the other.</summary>
    public static void Latency(Run run)
    {
        using var engines = Start(run, Place.AllCores);
        Benchmarks.Latency.Measure(run, "nodes-latency", "push to the other node", PerSecond, (Half: 3, Most: 15),
            measure => WithNodes(run, engines, 2, Place.AllCores, (servers, _) => measure(servers)));
    }

    /// <summary>
    /// Messages per second of the nodes' processor time, which is the limit: two nodes share one core; the engines and the generator have
    /// the other. Two that are each alone with half of the users are held against two that are one chat, in which every message crosses. A
    /// node that is alone on the core would not do: it would wait for the engines, and save work by larger batches.
    /// </summary>
    public static void Processor(Run run)
    {
        using var engines = Start(run, Place.GeneratorsCore);
        var alone = Measure("two nodes, each alone", () => Alone(run, engines));
        var together = Measure("two nodes, one chat", () => Nodes(run, engines, 2, Place.OneCore));
        run.Report.Add(
            new Line("nodes-cpu", "  two nodes could carry, in terms of one", "times", [2 * together / alone]).AtLeast(1.7));

        double Measure(string name, Func<Throughput.Result> round)
        {
            var what = $"messages per second of processor time, {name}";
            var rounds = run.Rounds(what, round);
            var figures = rounds.Select(round => round.PerSecond / round.Load.Server);
            var load = Load.Worst(rounds.Select(round => round.Load));
            return run.Report.Add(new Line("nodes-cpu", what, "messages", [.. figures], Load: load)).Median;
        }
    }

    private static Engines Start(Run run, Place place) => Cores.Start(place, () => new Engines(run.NewFile(), roomy: true));

    private static Throughput.Result Nodes(Run run, Engines engines, int count, Place place)
    {
        Throughput.Result? result = null;
        WithNodes(run, engines, count, place, (servers, _) => result = Pairs(run, servers, [.. servers.Select(server => server.Port)]));
        return result!;
    }

    /// <summary>Two nodes that do not know of one another. Both users of a pair are on the same one.</summary>
    private static Throughput.Result Alone(Run run, Engines engines)
    {
        Throughput.Result? result = null;
        WithNodes(run, engines, 1, Place.OneCore, (one, _) => WithNodes(run, engines, 1, Place.OneCore, (other, _) =>
            result = Pairs(run, [.. one, .. other], [one[0].Port, one[0].Port, other[0].Port, other[0].Port])));
        return result!;
    }

    private static Throughput.Result Pairs(Run run, ServerProcess[] servers, int[] ports)
    {
        using var crowd = Crowd.Pairs(ports, Benchmarks.Throughput.PairCount, Benchmarks.Throughput.Window);
        return Benchmarks.Throughput.Measure(servers, crowd, run.Options, receipts: true);
    }

    private static Throughput.Result Peers(Run run, Engines engines)
    {
        Throughput.Result? result = null;
        With(engines, PeerServer.Schema, 2, (postgres, redis) => ServerProcess.Peer(postgres, redis), (servers, _) =>
        {
            using var crowd = Crowd.PeerPairs(
                [.. servers.Select(server => server.Port)], Benchmarks.Throughput.PairCount, Benchmarks.Throughput.Window);
            result = Benchmarks.Throughput.Measure(servers, crowd, run.Options, receipts: false);
        });
        return result!;
    }

    /// <summary>Starts nodes on a database of their own, and stops them.</summary>
    /// <param name="run">The run.</param>
    /// <param name="engines">PostgreSQL and Redis.</param>
    /// <param name="count">How many nodes.</param>
    /// <param name="place">Where they may run.</param>
    /// <param name="use">Gets them, and their <c>ConnectionStrings:Postgres</c>.</param>
    public static void WithNodes(Run run, Engines engines, int count, Place place, Action<ServerProcess[], string> use) =>
        With(engines, "", count, (postgres, redis) => ServerProcess.Node(run.NodeFolder, postgres, redis, place), use);

    /// <summary>Starts servers on a database of their own, and stops them.</summary>
    private static void With(
        Engines engines, string schema, int count, Func<string, string, ServerProcess> start, Action<ServerProcess[], string> use)
    {
        var (postgres, redis) = (engines.NewDatabase(), engines.NewRedis());
        var name = Engines.NameOf(postgres);
        if (schema.Length > 0)
            engines.Execute(name, schema);
        engines.Execute("postgres", "CHECKPOINT"); // the last round's
        var servers = new List<ServerProcess>();
        try
        {
            for (var i = 0; i < count; i++)
                servers.Add(start(postgres, redis));
            use([.. servers], postgres);
        }
        finally
        {
            servers.ForEach(server => server.Dispose());
        }

        engines.Execute("postgres", $"DROP DATABASE {name} WITH (FORCE)");
    }
}
