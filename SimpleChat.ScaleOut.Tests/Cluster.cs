using Npgsql;

namespace SimpleChat.Tests;

/// <summary>
/// Two nodes that are processes of their own, on a database of their own. Each has a cable to PostgreSQL, and one to Redis. If services are
/// apart, they have PostgreSQL, and each node has a cable to the first of them.
/// </summary>
internal sealed class Cluster : IAsyncDisposable
{
    public const int Nodes = 2;

    private readonly Cable[] _toStorage, _toRedis;
    private readonly string _redis;

    private Cluster(
        Engines engines, string postgres, Func<Cable> toRedis, string? redis, Network? network, int services, string[] settings)
    {
        (Engines, Postgres) = (engines, postgres);
        _redis = redis ?? engines.NewRedis();
        int[] inner = [.. Enumerable.Range(0, services).Select(_ => LoopbackPort.Free())];
        _toStorage = [.. Enumerable.Range(0, Nodes).Select(_ => new Cable(services == 0 ? engines.PostgresPort : inner[0]))];
        _toRedis = [.. Enumerable.Range(0, Nodes).Select(_ => toRedis())];
        Services = new ChatProcess(services, service =>
        [
            $"--ConnectionStrings:Postgres={postgres}", $"--ConnectionStrings:Redis={_redis}",
            .. Roles.Arguments(Roles.Service($"http://127.0.0.1:{inner[service]}")), .. settings, $"--ScaleOut:Node=service{service}",
        ]);
        Server = new ChatProcess(Nodes, node =>
        [
            .. services == 0
                ? [$"--ConnectionStrings:Postgres={engines.PostgresOf(Engines.NameOf(postgres), _toStorage[node].Url.Port)}"]
                : Roles.Arguments(Roles.Connections(
                    [.. inner.Skip(1).Prepend(_toStorage[node].Url.Port).Select(port => $"http://127.0.0.1:{port}")])),
            $"--ConnectionStrings:Redis={_redis.Replace($":{engines.RedisPort}", $":{_toRedis[node].Url.Port}")},protocol=resp2",
            .. network is null ? (string[])[] :
            [
                $"--ConnectionStrings:Postgres={postgres.Replace("127.0.0.1", network.Here)}",
                $"--ConnectionStrings:Redis={_redis.Replace("127.0.0.1", network.Here)}",
                $"--AllowedHosts={network.AddressOf(node)}",
            ],
            .. settings,
        ], network);
    }

    /// <summary>The nodes.</summary>
    public ChatProcess Server { get; }

    /// <summary>The services that store for them, if there are any.</summary>
    public ChatProcess Services { get; }

    /// <summary>What they stand on.</summary>
    public Engines Engines { get; }

    /// <summary><c>ConnectionStrings:Postgres</c>, past the cables.</summary>
    public string Postgres { get; }

    /// <summary>Starts both.</summary>
    /// <param name="engines">Where PostgreSQL and Redis are; null for those of the whole run.</param>
    /// <param name="change">Changes the schema.</param>
    /// <param name="toRedis">Makes a cable to Redis; null for one that only stalls.</param>
    /// <param name="redis"><c>ConnectionStrings:Redis</c>, past the cables; null for a database of its own, over them.</param>
    /// <param name="network">A network in which the nodes are, past the cables; null for this machine's own.</param>
    /// <param name="services">How many services are apart; null for what the whole run has.</param>
    /// <param name="settings">Further arguments of the nodes.</param>
    public static async Task<Cluster> StartAsync(
        Engines? engines = null, Func<string, string>? change = null, Func<Cable>? toRedis = null, string? redis = null,
        Network? network = null, int? services = null, params string[] settings)
    {
        engines ??= Engines.Shared;
        var postgres = engines.NewDatabase();
        if (change is not null)
        {
            using var schema = new StreamReader(typeof(PostgresDatabase).Assembly.GetManifestResourceStream("chat.postgres.sql")!);
            engines.Execute(Engines.NameOf(postgres), change(await schema.ReadToEndAsync()));
        }

        var cluster = new Cluster(
            engines, postgres, toRedis ?? (() => new Cable(engines.RedisPort)), redis, network,
            services ?? (Roles.Apart && network is null ? 1 : 0), settings);
        await cluster.Services.StartAsync();
        await cluster.Server.StartAsync();
        return cluster;
    }

    /// <summary>The node's cable to what stores for it: PostgreSQL, or the first service.</summary>
    public Cable ToPostgres(int node) => _toStorage[node];

    /// <summary>The node's cable.</summary>
    public Cable ToRedis(int node) => _toRedis[node];

    /// <summary>A user of one node.</summary>
    public Task<ChatClient> ConnectAsync(int node, string user, string? protocol = null, long? after = null) =>
        ChatClient.ConnectAsync(Server.UrlOf(node), user, protocol, after);

    /// <summary>A user of one node, without a WebSocket.</summary>
    public HttpUser HttpUser(int node, string user) => new(new HttpClient { BaseAddress = Server.UrlOf(node) }, user);

    /// <summary>Keeps everybody from the pen until it is disposed of.</summary>
    public async Task<IAsyncDisposable> HoldPenAsync()
    {
        var stranger = new NpgsqlConnection($"{Postgres};Pooling=false");
        await stranger.OpenAsync();
        await using var command = new NpgsqlCommand("SELECT pg_advisory_lock(5080)", stranger);
        await command.ExecuteNonQueryAsync();
        return stranger;
    }

    /// <summary>A command to the nodes' database of Redis.</summary>
    public void TellRedis(string command) =>
        Engines.TellRedis(["-n", _redis[(_redis.LastIndexOf('=') + 1)..], .. command.Split(' ')]);

    /// <summary>Looks into the database past the nodes.</summary>
    public async Task<T> ReadAsync<T>(string sql)
    {
        await using var connection = new NpgsqlConnection($"{Postgres};Pooling=false");
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        return (T)(await command.ExecuteScalarAsync())!;
    }

    public async ValueTask DisposeAsync()
    {
        await Server.DisposeAsync();
        await Services.DisposeAsync();
        foreach (var cable in _toStorage.Concat(_toRedis))
            await cable.DisposeAsync();
    }
}
