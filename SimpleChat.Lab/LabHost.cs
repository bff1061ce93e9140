using System.Net;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.FileProviders;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace SimpleChat.Lab;

/// <summary>Serves the page and its control line, to this machine alone, and owns the bench.</summary>
internal sealed class LabHost : IAsyncDisposable
{
    /// <summary>The page talks to its own origin, and to the cables.</summary>
    private const string Policy =
        "default-src 'self'; connect-src 'self' ws://localhost:* ws://127.0.0.1:*; img-src 'self' data:; frame-ancestors 'none'";

    private readonly WebApplication _app;
    private readonly Bench _bench;
    private readonly CancellationTokenSource _over = new();

    private LabHost(WebApplication app, Bench bench)
    {
        (_app, _bench) = (app, bench);
    }

    /// <summary>Where the page is.</summary>
    public Uri Url { get; private set; } = null!;

    /// <summary>Starts it, and the server.</summary>
    /// <param name="port">Where the page is to be; 0 for any free port.</param>
    /// <param name="server">A step of the ladder; null for SimpleChat.</param>
    /// <param name="printed">The server printed a line.</param>
    /// <exception cref="LabException">It cannot start; the message says why.</exception>
    public static async Task<LabHost> StartAsync(int port, string? server, Action<string> printed)
    {
        var program = ServedProgram.Find(server);
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Logging.AddSimpleConsole().SetMinimumLevel(LogLevel.Warning)
            .AddFilter("Microsoft.Extensions.Hosting.Internal.Host", LogLevel.Critical); // Program says in one line why a start failed
        builder.Services.AddRoutingCore();
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => Listen(kestrel, port));
        var host = new LabHost(builder.Build(), new Bench(program, TimeProvider.System, printed));
        try
        {
            await host.StartAsync();
            return host;
        }
        catch (IOException e) when (e.InnerException is AddressInUseException)
        {
            await host.DisposeAsync();
            throw new LabException($"Port {port} is in use. Choose another one: --port {port + 1}", e);
        }
        catch
        {
            await host.DisposeAsync();
            throw;
        }
    }

    /// <summary>Waits until somebody ends the program.</summary>
    public Task WaitAsync() => _app.WaitForShutdownAsync();

    public async ValueTask DisposeAsync()
    {
        await _over.CancelAsync();
        await _app.DisposeAsync();
        await _bench.DisposeAsync();
        _over.Dispose();
    }

    private static void Listen(KestrelServerOptions kestrel, int port)
    {
        kestrel.AddServerHeader = false;
        if (port == 0)
            kestrel.Listen(IPAddress.Loopback, 0);
        else
            kestrel.ListenLocalhost(port);
    }

    private async Task StartAsync()
    {
        _app.Lifetime.ApplicationStopping.Register(_over.Cancel); // pages would keep it waiting
        _app.Use(RequireOwn);
        _app.UseWebSockets();
        var page = new PhysicalFileProvider(Path.Combine(ServedProgram.Root, "SimpleChat.Lab", "wwwroot"));
        _app.UseDefaultFiles(new DefaultFilesOptions { FileProvider = page });
        _app.UseStaticFiles(new StaticFileOptions { FileProvider = page, ServeUnknownFileTypes = true });
        _app.UseRouting();
        _app.MapGet("/lab", ServePageAsync);
        _app.MapPost("/webhook", _bench.CalledAsync);
        _app.MapGet("/run.jsonl", context => context.Response.WriteAsync(string.Concat(_bench.Record.Lines().Select(line => line + "\n"))));
        await _app.StartAsync();
        var address = _app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();
        Url = new UriBuilder(address) { Host = "localhost" }.Uri;
        await _bench.StartAsync(new IPEndPoint(IPAddress.Loopback, Url.Port));
    }

    /// <summary>
    /// Middleware: answers only under the names of this machine, and only to pages of its own. Otherwise a web page from elsewhere could
    /// give its own name the address of this machine, and kill the server (DNS rebinding).
    /// </summary>
    private static Task RequireOwn(HttpContext context, RequestDelegate next)
    {
        var host = context.Request.Host;
        var origin = context.Request.Headers.Origin.ToString();
        if (host.Host is not ("localhost" or "127.0.0.1" or "[::1]") || origin.Length > 0 && origin != $"http://{host}")
        {
            context.Response.StatusCode = StatusCodes.Status403Forbidden;
            return context.Response.WriteAsync("The Lab answers to this machine alone: open http://localhost.\n");
        }

        context.Response.Headers.ContentSecurityPolicy = Policy;
        context.Response.Headers.CacheControl = "no-cache";
        return next(context);
    }

    /// <summary>The control line: the record goes out, commands come in.</summary>
    private async Task ServePageAsync(HttpContext context)
    {
        if (!context.WebSockets.IsWebSocketRequest)
        {
            context.Response.StatusCode = StatusCodes.Status426UpgradeRequired;
            return;
        }

        using var socket = await context.WebSockets.AcceptWebSocketAsync();
        using var end = CancellationTokenSource.CreateLinkedTokenSource(_over.Token, context.RequestAborted);
        using var turn = new SemaphoreSlim(1);
        try
        {
            await SendAsync(JsonSerializer.Serialize(_bench.Hello, LabJson.Default.Hello));
            var following = FollowAsync();
            try
            {
                await HearAsync();
            }
            finally
            {
                await end.CancelAsync();
                await following.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
        catch (Exception e) when (e is WebSocketException or OperationCanceledException)
        {
            // The page is gone, or the Lab ends.
        }

        async Task FollowAsync()
        {
            await foreach (var line in _bench.Record.FollowAsync(end.Token))
                await SendAsync(line);
        }

        async Task HearAsync()
        {
            while (socket.State == WebSocketState.Open)
            {
                using var message = WebSocketStream.CreateReadableMessageStream(socket);
                using var text = new StreamReader(message, Encoding.UTF8);
                var command = await text.ReadToEndAsync(end.Token);
                if (command.Length > 0 && await _bench.DoAsync(command) is { } refused)
                    await SendAsync(JsonSerializer.Serialize(refused, LabJson.Default.Refused));
            }
        }

        async Task SendAsync(string text)
        {
            await turn.WaitAsync(end.Token);
            try
            {
                await socket.SendAsync(Encoding.UTF8.GetBytes(text), WebSocketMessageType.Text, true, end.Token);
            }
            finally
            {
                turn.Release();
            }
        }
    }
}
