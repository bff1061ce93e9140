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

    /// <summary>
    /// From the intended send time at one node to the arrival at the other. SignalR gets half of the rate: at the whole it is at its limit.
    /// </summary>
    public static void Latency(Run run)
    {
        const string mode = "nodes-latency";
        using var engines = Start(run, Place.AllCores);
        var nodes = Benchmarks.Latency.Measure(run, mode, "push to the other node", PerSecond, (Half: 3, Most: 15), () =>
            WithNodes(run, engines, 2, Place.AllCores, (servers, _) =>
            {
                using var crowd = Benchmarks.Latency.Pairs(servers);
                return Benchmarks.Latency.Round(run.Options, crowd, servers, PerSecond);
            }));
        var peer = Benchmarks.Latency.Measure(run, mode, "  SignalR, Redis backplane, two servers", PerSecond / 2, null, () =>
            WithPeers(engines, servers =>
            {
                using var crowd = Benchmarks.Latency.PeerPairs(servers);
                return Benchmarks.Latency.Round(run.Options, crowd, servers, PerSecond / 2, receipts: false);
            }));
        Compare("p50", nodes.Half / peer.Half, 3 / 0.8);
        Compare("p99", nodes.Most / peer.Most, 15 / 3.8);

        void Compare(string what, double times, double goal) => run.Report.Add(
            new Line(mode, $"  push to the other node, in terms of SignalR, {what}", "times", [times]).AtMost(goal));
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

    /// <summary>
    /// Two nodes that store for themselves, and two for which one service stores: with much under way, and with so little that batches are
    /// small.
    /// </summary>
    public static void Roles(Run run)
    {
        using var engines = Start(run, Place.AllCores);
        Measure("100 pairs, window 16", Benchmarks.Throughput.PairCount, Benchmarks.Throughput.Window);
        Measure("16 pairs, window 1", 16, 1);

        void Measure(string load, int pairs, int window)
        {
            foreach (var (name, isApart) in ((string, bool)[])[("two nodes", false), ("two nodes and a service", true)])
            {
                var what = $"{name}, {load}";
                run.Report.Add(Benchmarks.Throughput.LineOf("nodes-roles", what, run.Rounds(what, () =>
                    WithNodes(run, engines, 2, Place.AllCores, (servers, _) =>
                        Pairs(run, servers, [.. servers.Select(server => server.Port)], pairs, window), isApart))));
            }
        }
    }

    /// <summary>Closed pages of history, read from PostgreSQL each time, and kept in memory and in Redis.</summary>
    public static void History(Run run)
    {
        const int messages = 100_000;
        using var engines = Start(run, Place.AllCores);
        foreach (var isKept in (bool[])[false, true])
        {
            var what = $"closed page of {Benchmarks.History.PageSize}, {(isKept ? "kept" : "read each time")}";
            With(engines, "", 1, (postgres, redis) => ServerProcess.Node(
                run.NodeFolder, Place.AllCores, [.. Of(postgres, redis), ("ScaleOut:HistoryCache", $"{isKept}")]), (servers, postgres) =>
            {
                engines.Execute(Engines.NameOf(postgres),
                    $"""
                    INSERT INTO MessageDB
                      SELECT i, 'user' || to_char(i % {StoredMessages.Users}, 'FM00000'),
                        'user' || to_char((i + 1) % {StoredMessages.Users}, 'FM00000'), convert_to(repeat('x', 100), 'UTF8'),
                        floor(extract(epoch FROM now()) * 1000), NULL
                      FROM generate_series(1, {messages}) AS i;
                    ANALYZE MessageDB
                    """);
                using var http = new HttpLine(servers[0].Port);
                var rounds = run.Rounds(what, () => Benchmarks.History.Round(
                    http, user => $"/messages?user={ChatUser.Name(user)}&limit={Benchmarks.History.PageSize}&before={messages / 2}"));
                return run.Report.Add(new Line("nodes-history", what, "ms", [.. rounds.Select(round => round.Half)],
                    Note: $"p50 with the request's way there and back; p99 {Line.MedianOf(rounds.Select(round => round.Most)):0.00} ms"));
            });
        }
    }

    private static Engines Start(Run run, Place place) => Cores.Start(place, () => new Engines(run.NewFile(), roomy: true));

    private static Throughput.Result Nodes(Run run, Engines engines, int count, Place place) => WithNodes(
        run, engines, count, place, (servers, _) => Pairs(run, servers, [.. servers.Select(server => server.Port)]));

    /// <summary>Two nodes that do not know of one another. Both users of a pair are on the same one.</summary>
    private static Throughput.Result Alone(Run run, Engines engines) => WithNodes(
        run, engines, 1, Place.OneCore, (one, _) => WithNodes(run, engines, 1, Place.OneCore, (other, _) =>
            Pairs(run, [.. one, .. other], [one[0].Port, one[0].Port, other[0].Port, other[0].Port])));

    /// <summary>Pairs of users write to one another, as fast as they are answered.</summary>
    private static Throughput.Result Pairs(
        Run run, ServerProcess[] servers, int[] ports, int pairs = Benchmarks.Throughput.PairCount,
        int window = Benchmarks.Throughput.Window)
    {
        using var crowd = Crowd.Pairs(ports, pairs, window);
        return Benchmarks.Throughput.Measure(servers, crowd, run.Options, receipts: true);
    }

    private static Throughput.Result Peers(Run run, Engines engines) => WithPeers(engines, servers =>
    {
        using var crowd = Crowd.PeerPairs(
            [.. servers.Select(server => server.Port)], Benchmarks.Throughput.PairCount, Benchmarks.Throughput.Window);
        return Benchmarks.Throughput.Measure(servers, crowd, run.Options, receipts: false);
    });

    /// <summary>Starts two SignalR servers on a database of their own, and stops them.</summary>
    private static T WithPeers<T>(Engines engines, Func<ServerProcess[], T> use) => With(
        engines, PeerServer.Schema, 2, (postgres, redis) => ServerProcess.Peer(postgres, redis), (servers, _) => use(servers));

    /// <summary>Starts nodes on a database of their own, and stops them.</summary>
    /// <param name="run">The run.</param>
    /// <param name="engines">PostgreSQL and Redis.</param>
    /// <param name="count">How many nodes.</param>
    /// <param name="place">Where they may run.</param>
    /// <param name="use">Gets them, and their <c>ConnectionStrings:Postgres</c>.</param>
    /// <param name="isApart">Whether the nodes have connections alone, and a service stores for them.</param>
    /// <returns>What <paramref name="use"/> returns.</returns>
    public static T WithNodes<T>(
        Run run, Engines engines, int count, Place place, Func<ServerProcess[], string, T> use, bool isApart = false)
    {
        if (!isApart)
            return With(engines, "", count, (postgres, redis) => ServerProcess.Node(run.NodeFolder, place, Of(postgres, redis)), use);

        var inner = LoopbackPort.FreeUrl();
        (string, string) secret = ("ScaleOut:Secret", "0123456789abcdef0123456789abcdef");
        ServerProcess? service = null;
        try
        {
            return With(engines, "", count, (postgres, redis) =>
            {
                service ??= ServerProcess.Node(run.NodeFolder, place,
                    [.. Of(postgres, redis), secret, ("ScaleOut:Role", "service"), ("ScaleOut:Listen", inner)], "Connect to a node");
                return ServerProcess.Node(run.NodeFolder, place,
                    [("ConnectionStrings:Redis", redis), secret, ("ScaleOut:Role", "connections"), ("ScaleOut:Service", inner)]);
            }, use);
        }
        finally
        {
            service?.Dispose();
        }
    }

    private static (string, string)[] Of(string postgres, string redis) =>
        [("ConnectionStrings:Postgres", postgres), ("ConnectionStrings:Redis", redis)];

    /// <summary>Starts servers on a database of their own, and stops them.</summary>
    /// <param name="engines">Where PostgreSQL and Redis are.</param>
    /// <param name="schema">What the servers do not create themselves.</param>
    /// <param name="count">How many servers.</param>
    /// <param name="start">Starts one, told where PostgreSQL and Redis are.</param>
    /// <param name="use">Uses them, told where PostgreSQL is.</param>
    /// <returns>What <paramref name="use"/> returns.</returns>
    private static T With<T>(
        Engines engines, string schema, int count, Func<string, string, ServerProcess> start, Func<ServerProcess[], string, T> use)
    {
        var (postgres, redis) = (engines.NewDatabase(), engines.NewRedis());
        var name = Engines.NameOf(postgres);
        if (schema.Length > 0)
            engines.Execute(name, schema);
        engines.Execute("postgres", "CHECKPOINT"); // the last round's
        var servers = new List<ServerProcess>();
        T used;
        try
        {
            for (var i = 0; i < count; i++)
                servers.Add(start(postgres, redis));
            used = use([.. servers], postgres);
        }
        finally
        {
            servers.ForEach(server => server.Dispose());
        }

        engines.Execute("postgres", $"DROP DATABASE {name} WITH (FORCE)");
        return used;
    }
}
