using Dapper;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.AspNetCore.TestHost;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace SimpleChat.Tests;

/// <summary>
/// The server, the very <c>Program</c>, inside the test's process: on a real socket of 127.0.0.1, with a database of its own.
/// Settings are given by their configuration keys: <c>new ChatServer { ["Chat:MaxMessageBytes"] = "1024" }</c>.
/// </summary>
internal sealed class ChatServer : IAsyncDisposable
{
    private readonly TempFolder _folder = new();
    private readonly Dictionary<string, string> _settings = [];
    private Factory? _running;
    private HttpClient? _http;

    public string Environment { get; init; } = "Development";

    /// <summary>The server's clock; null for the real one. Another one may be set while the server is stopped.</summary>
    public TimeProvider? Time { get; set; }

    /// <summary>No sockets: requests are handed over in memory. For what depends on no network.</summary>
    public bool InMemory { get; init; }

    public Uri Url { get; private set; } = null!;

    public string DatabasePath => _folder.DatabasePath;

    /// <summary>A client of nobody in particular; see <see cref="HttpUser"/>.</summary>
    public HttpClient Http => _http ?? throw new InvalidOperationException("The server is not running.");

    /// <summary>The running server's own.</summary>
    public IServiceProvider Services => _running?.Services ?? throw new InvalidOperationException("The server is not running.");

    /// <summary>What was logged, restarts included.</summary>
    public CapturedLog Log { get; } = new();

    public string this[string key]
    {
        set => _settings[key] = value;
    }

    /// <summary>Does what an operator does behind the server's back.</summary>
    public async Task ExecuteAsync(string sql)
    {
        await using var operators = Open();
        await operators.ExecuteAsync(sql);
    }

    /// <summary>Looks into the database past the server.</summary>
    public async Task<long> CountAsync(string sql)
    {
        await using var database = Open();
        return await database.ExecuteScalarAsync<long>(sql);
    }

    /// <summary>Keeps the server from writing until it is disposed of.</summary>
    public IAsyncDisposable HoldWrites()
    {
        var stranger = Open();
        stranger.BeginTransaction(deferred: false);
        return stranger; // takes its transaction along
    }

    private SqliteConnection Open()
    {
        var connection = new SqliteConnection($"Data Source={DatabasePath};Pooling=False");
        connection.Open();
        return connection;
    }

    /// <summary>Before the start: these settings too.</summary>
    public ChatServer With(IEnumerable<(string Key, string Value)> settings)
    {
        foreach (var (key, value) in settings)
            _settings[key] = value;
        return this;
    }

    public static Task<ChatServer> StartNewAsync() => new ChatServer().StartAsync();

    public async Task<ChatServer> StartAsync()
    {
        try
        {
            _running = new Factory(this);
            if (InMemory)
            {
                Url = _running.Server.BaseAddress;
                _http = new HttpClient(_running.Server.CreateHandler());
            }
            else
            {
                _running.UseKestrel();
                _running.StartServer();
                Url = new Uri(_running.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single());
                _http = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false });
            }

            _http.BaseAddress = Url;
            return this;
        }
        catch
        {
            await DisposeAsync();
            throw;
        }
    }

    /// <summary>Stops it in an orderly way, as SIGTERM would. The database stays.</summary>
    public async Task StopAsync()
    {
        _http?.Dispose();
        _http = null;
        if (_running is { } running)
        {
            _running = null;
            await running.DisposeAsync();
            await Deadline.UntilAsync(() => Task.FromResult(IsDatabaseFree()), "the database free: Program itself disposes of it too");
        }
    }

    private bool IsDatabaseFree()
    {
        try
        {
            using var file = new FileStream(DatabasePath + ".lock", FileMode.Open, FileAccess.ReadWrite, FileShare.None);
            return true;
        }
        catch (IOException e)
        {
            return e is FileNotFoundException;
        }
    }

    public async Task RestartAsync()
    {
        await StopAsync();
        await StartAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _folder.Dispose();
    }

    private sealed class Factory(ChatServer server) : WebApplicationFactory<Program>
    {
        protected override void ConfigureWebHost(IWebHostBuilder builder)
        {
            builder.UseEnvironment(server.Environment);
            // Early, like every setting here; UseKestrel(0) would race with the Program's own start.
            builder.UseSetting(WebHostDefaults.ServerUrlsKey, "http://127.0.0.1:0");
            builder.UseSetting("hostBuilder:reloadConfigOnChange", "false"); // a machine has few file watchers to give
            builder.UseSetting("ConnectionStrings:Chat", $"Data Source={server.DatabasePath}");
            foreach (var (key, value) in server._settings)
                builder.UseSetting(key, value);
            builder.ConfigureLogging(logging => logging.ClearProviders().AddProvider(server.Log));
            if (server.Time is { } time)
                builder.ConfigureTestServices(services => services.AddSingleton(time));
        }
    }
}
