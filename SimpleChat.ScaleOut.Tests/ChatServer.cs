using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.AspNetCore.TestHost;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace SimpleChat.Tests;

/// <summary>
/// What the contract's tests call the server: two nodes on a database of their own. Whoever asks for <see cref="Url"/>, or makes a request
/// over <see cref="Http"/>, gets one of them, in turn. A test that opens two connections has one on each.
/// </summary>
internal sealed class ChatServer : IAsyncDisposable
{
    private const int Count = 2;

    /// <summary>A database with the schema in it, which is copied for each server.</summary>
    private static readonly Lazy<string> s_template = new(() =>
    {
        using var stream = typeof(PostgresDatabase).Assembly.GetManifestResourceStream("chat.postgres.sql")!;
        using var schema = new StreamReader(stream);
        Tests.Engines.Shared.Execute("chat", schema.ReadToEnd());
        return "chat";
    });

    private static readonly SemaphoreSlim s_copying = new(1);

    private readonly Dictionary<string, string> _settings = [];
    private Factory[] _nodes = [];
    private Factory? _service;
    private Uri[] _urls = [];
    private HttpClient? _http;
    private string? _postgres, _redis;
    private int _turn;

    public string Environment { get; init; } = "Development";

    /// <summary>The nodes' clock; null for the real one. Another one may be set while they are stopped.</summary>
    public TimeProvider? Time { get; set; }

    /// <summary>A clock of each node's own, by its number; null if they share one.</summary>
    public Func<int, TimeProvider>? TimeOf { get; init; }

    /// <summary>Where PostgreSQL and Redis are; null for those of the whole run.</summary>
    public Engines? Engines { get; init; }

    /// <summary><c>ConnectionStrings:Redis</c>; null for a database of its own in that of <see cref="Engines"/>.</summary>
    public string? Redis { get; init; }

    /// <summary>Whether the nodes have connections alone, and a service apart stores for them.</summary>
    public bool Apart { get; init; } = Roles.Apart;

    /// <summary>Where the service listens for nodes, if there is one.</summary>
    public string Inner { get; private set; } = "";

    /// <summary>The service's public address, if there is one.</summary>
    public Uri ServiceUrl => UrlOf(_service!);

    /// <summary>Two nodes always have sockets.</summary>
    public bool InMemory { get; init; }

    /// <summary>The next node's.</summary>
    public Uri Url => _urls[Interlocked.Increment(ref _turn) % Count];

    public HttpClient Http => _http ?? throw new InvalidOperationException("The nodes are not running.");

    /// <summary>The first node's own.</summary>
    public IServiceProvider Services => _nodes[0].Services;

    /// <summary>What was logged by both, restarts included.</summary>
    public CapturedLog Log { get; } = new();

    public string this[string key]
    {
        set => _settings[key] = value;
    }

    public static Task<ChatServer> StartNewAsync() => new ChatServer().StartAsync();

    public async Task<ChatServer> StartAsync()
    {
        await s_copying.WaitAsync();
        try
        {
            _postgres ??= Engines is null ? Tests.Engines.Shared.NewDatabase(s_template.Value) : Engines.NewDatabase();
            _redis ??= Redis ?? (Engines ?? Tests.Engines.Shared).NewRedis();
        }
        finally
        {
            s_copying.Release();
        }

        try
        {
            Inner = LoopbackPort.FreeUrl();
            if (Apart)
                StartService();
            _nodes = [.. Enumerable.Range(0, Count).Select(
                number => new Factory(this, number, Apart ? Roles.Connections(Inner) : [Postgres]))];
            foreach (var node in _nodes)
                node.Start();

            _urls = [.. _nodes.Select(UrlOf)];
            _http = new HttpClient(new InTurn(this)) { BaseAddress = _urls[0] };
            return this;
        }
        catch
        {
            await DisposeAsync();
            throw;
        }
    }

    /// <summary>Stops both in an orderly way. The database stays.</summary>
    public async Task StopAsync()
    {
        _http?.Dispose();
        _http = null;
        var nodes = _nodes;
        _nodes = [];
        await Task.WhenAll(nodes.Select(node => node.DisposeAsync().AsTask()));
        await StopServiceAsync();
    }

    /// <summary>Starts the service, where the nodes look for it.</summary>
    public void StartService()
    {
        _service = new Factory(this, 0, [Postgres, .. Roles.Service(Inner)]);
        _service.Start();
    }

    /// <summary>Stops the service in an orderly way. The nodes stay.</summary>
    public async Task StopServiceAsync()
    {
        if (_service is not null)
            await _service.DisposeAsync();
        _service = null;
    }

    public async Task RestartAsync()
    {
        await StopAsync();
        await StartAsync();
    }

    /// <summary>Does what an operator does behind the nodes' back.</summary>
    public async Task ExecuteAsync(string sql)
    {
        await using var connection = await OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }

    /// <summary>Looks into the database past the nodes.</summary>
    public async Task<long> CountAsync(string sql)
    {
        await using var connection = await OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        return (long)(await command.ExecuteScalarAsync())!;
    }

    /// <summary>
    /// Keeps the nodes from writing until it is disposed of: holds the pen. That is over when both nodes have noticed: a test asks one, and
    /// then the other.
    /// </summary>
    public IAsyncDisposable HoldWrites()
    {
        var stranger = new NpgsqlConnection($"{_postgres};Pooling=false");
        stranger.Open();
        using var command = new NpgsqlCommand("SELECT pg_advisory_lock(5080)", stranger);
        command.ExecuteNonQuery();
        return new Held(stranger, () => Deadline.UntilAsync(
            () => Task.FromResult(_nodes.All(node => node.Services.GetRequiredService<Writer>().Fault is null)), "the end of the fault"));
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        if (_postgres is null)
            return;
        var database = new NpgsqlConnectionStringBuilder(_postgres).Database!;
        (Engines ?? Tests.Engines.Shared).Execute("postgres", $"DROP DATABASE {database} WITH (FORCE)");
        _postgres = null;
    }

    private (string Key, string Value) Postgres => ("ConnectionStrings:Postgres", _postgres!);

    private static Uri UrlOf(Factory process) => new(
        process.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single());

    private async Task<NpgsqlConnection> OpenAsync()
    {
        var connection = new NpgsqlConnection($"{_postgres};Pooling=false");
        await connection.OpenAsync();
        return connection;
    }

    private sealed class Held(NpgsqlConnection pen, Func<Task> isOver) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync()
        {
            await pen.DisposeAsync();
            await isOver();
        }
    }

    /// <summary>Sends each request to the next node.</summary>
    private sealed class InTurn(ChatServer server) : DelegatingHandler(new SocketsHttpHandler { AllowAutoRedirect = false })
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            request.RequestUri = new Uri(server.Url, request.RequestUri!.PathAndQuery);
            return base.SendAsync(request, cancellationToken);
        }
    }

    private sealed class Factory(ChatServer server, int number, (string Key, string Value)[] role) : WebApplicationFactory<ScaleOutOptions>
    {
        public void Start()
        {
            UseKestrel();
            StartServer();
        }

        protected override void ConfigureWebHost(IWebHostBuilder builder)
        {
            builder.UseEnvironment(server.Environment);
            builder.UseSetting(WebHostDefaults.ServerUrlsKey, "http://127.0.0.1:0");
            builder.UseSetting("hostBuilder:reloadConfigOnChange", "false"); // a machine has few file watchers to give
            builder.UseSetting("ConnectionStrings:Redis", server._redis);
            foreach (var (key, value) in role.Concat(server._settings.Select(setting => (setting.Key, setting.Value))))
                builder.UseSetting(key, value);
            builder.ConfigureLogging(logging => logging.ClearProviders().AddProvider(server.Log));
            builder.ConfigureTestServices(services => services.AddSingleton(FarewellTime.AtOnce));
            if ((server.TimeOf?.Invoke(number) ?? server.Time) is { } time)
                builder.ConfigureTestServices(services => services.AddSingleton(time));
        }
    }
}
