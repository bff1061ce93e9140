using System.Collections.Concurrent;
using System.Globalization;
using System.Net.WebSockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;

namespace SimpleChat.Benchmarks;

/// <summary>
/// The relay baseline: the contract's frames through Kestrel and System.Net.WebSockets, with no storage, no inbox, no history, no checks
/// and no limits. What is left is what passing a message on costs by itself. For benchmarks only: it trusts every frame, and queues without
/// bound for a reader that doesn't read.
/// </summary>
internal static class RelayServer
{
    public const string Verb = "relay-server";

    public static void Run(string[] args)
    {
        var users = new ConcurrentDictionary<string, RelayConnection>();
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.ListenLocalhost(int.Parse(args[0], CultureInfo.InvariantCulture)));
        var app = builder.Build();
        app.Use((context, next) =>
        {
            if (context.Features.Get<IHttpUpgradeFeature>() is { IsUpgradableRequest: true } upgrade)
                context.Features.Set<IHttpUpgradeFeature>(new BatchedUpgrade(upgrade));
            return next(context);
        });
        // The keep-alive of the chat server's defaults: it costs memory in each connection.
        app.UseWebSockets(
            new WebSocketOptions { KeepAliveInterval = TimeSpan.FromSeconds(15), KeepAliveTimeout = TimeSpan.FromSeconds(30) });
        app.Run(context => ServeAsync(context, users));
        app.Run();
    }

    private static async Task ServeAsync(HttpContext context, ConcurrentDictionary<string, RelayConnection> users)
    {
        string user = context.Request.Query["user"]!;
        var upgrade = (BatchedUpgrade)context.Features.GetRequiredFeature<IHttpUpgradeFeature>();
        using var socket = await context.WebSockets.AcceptWebSocketAsync("chat");
        var connection = new RelayConnection(user, socket, upgrade.Stream!, users);
        users[user] = connection;
        try
        {
            await connection.RunAsync();
        }
        catch (WebSocketException)
        {
            // The client went without a close frame.
        }
        finally
        {
            users.TryRemove(KeyValuePair.Create(user, connection));
        }
    }

    /// <summary>Puts a <see cref="BatchedStream"/> between the WebSocket and Kestrel.</summary>
    private sealed class BatchedUpgrade(IHttpUpgradeFeature inner) : IHttpUpgradeFeature
    {
        public BatchedStream? Stream { get; private set; }

        public bool IsUpgradableRequest => inner.IsUpgradableRequest;

        public async Task<Stream> UpgradeAsync() => Stream = new BatchedStream(await inner.UpgradeAsync());
    }
}
