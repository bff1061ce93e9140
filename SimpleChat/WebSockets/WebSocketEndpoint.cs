using System.Buffers.Text;
using System.ComponentModel;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;
using SimpleChat.Http;
using SimpleChat.Identity;
using SimpleChat.Limits;
using SimpleChat.Settings;
using SimpleChat.Wire;

namespace SimpleChat.WebSockets;

/// <summary>
/// The handshake at <c>GET /chat</c> (RFC 6455, section 4.2; over HTTP/2 CONNECT, RFC 8441). Everything that can be wrong with it is
/// refused before the upgrade.
/// </summary>
internal sealed class WebSocketEndpoint(WebSocketServices services, IHostEnvironment environment, IServiceProvider provider)
{
    /// <summary>The subprotocol on which a message counts as delivered when it was written to the socket, as it does without any.</summary>
    public const string Plain = "chat";

    /// <summary>The subprotocol on which a message counts as delivered when the client acknowledged it.</summary>
    public const string Acknowledged = "chat.ack";

    private const string Version = "13";

    public static void Register(IServiceCollection services)
    {
        services.AddSingleton<WebSocketServices>();
        // The framework looks at its clock four times in an interval: up to half as long again may pass before it pings, or misses an
        // answer.
        services.AddOptions<WebSocketOptions>().Configure<ChatOptions>((socket, chat) =>
        {
            socket.KeepAliveInterval = 0.6 * chat.KeepAliveInterval;
            socket.KeepAliveTimeout = chat.KeepAliveTimeout;
        });
    }

    public static void Map(IEndpointRouteBuilder routes)
    {
        var endpoint = ActivatorUtilities.CreateInstance<WebSocketEndpoint>(routes.ServiceProvider);
        routes.MapGet("/chat", (Delegate)endpoint.HandleAsync)
            .WithMetadata(new TokenInQuery())
            .WithSummary("Opens a WebSocket (RFC 6455): subprotocol chat or chat.ack, after=41 to resume.")
            .Produces(StatusCodes.Status101SwitchingProtocols)
            .RefusesLikeAnyOther().Refuses(StatusCodes.Status409Conflict, StatusCodes.Status426UpgradeRequired)
            .ShortCircuit();
        // CONNECT, and methods to be refused.
        routes.Map("/chat", (Delegate)endpoint.HandleAsync).WithMetadata(new TokenInQuery()).ShortCircuit();
    }

    /// <summary>A line ready to paste that opens the chat: in Development as alice, elsewhere with a token.</summary>
    public static string WscatLine(string address, IHostEnvironment environment)
    {
        var chat = string.Concat("ws", address.AsSpan("http".Length)).TrimEnd('/') + "/chat";
        return environment.IsDevelopment()
            ? $"npx -y wscat -c \"{chat}?user=alice\""
            : $"npx -y wscat -c {chat} -H \"Authorization: Bearer $TOKEN\"";
    }

    private async Task HandleAsync(HttpContext context, [Description(ApiDescription.Position)] string? after)
    {
        if (Refuse(context, environment) is { } malformed)
        {
            await malformed.ExecuteAsync(context);
            return;
        }

        if (await IdentifyAsync(context) is not { } user)
            return;
        using (user)
        {
            if (await JoinAsync(context, user, after) is not { } connection)
                return;
            try
            {
                var protocol = context.WebSockets.WebSocketRequestedProtocols.FirstOrDefault(offered => offered is Plain or Acknowledged);
                using var socket = await context.WebSockets.AcceptWebSocketAsync(protocol);
                using var line = new WebSocketLine(
                    socket, BatchedUpgrades.BatchOf(context), context.Features.Get<IConnectionSocketFeature>()?.Socket, connection,
                    writingDelivers: protocol != Acknowledged, user.ExpiresAt, services);
                await line.RunAsync();
            }
            finally
            {
                services.Chat.Leave(connection);
            }
        }
    }

    /// <summary>
    /// Identifies the user in a scope that ends here. So a connection that stays for days keeps no scope, and nothing of its token.
    /// </summary>
    private async Task<CurrentUser?> IdentifyAsync(HttpContext context)
    {
        await using var scope = provider.CreateAsyncScope();
        context.RequestServices = scope.ServiceProvider;
        try
        {
            return await CurrentUser.IdentifyAsync(context);
        }
        finally
        {
            context.RequestServices = provider;
        }
    }

    /// <summary>
    /// Puts a connection for the user into the map. Null if it was refused, which is answered then, or if the caller has left.
    /// </summary>
    private async Task<Connection?> JoinAsync(HttpContext context, CurrentUser user, string? after)
    {
        if (!await user.TryBeginAsync(context, Work.Handshake))
            return null;
        var connection = new Connection(user.Share);
        Refusal? refusal;
        try
        {
            refusal = await services.Chat.JoinAsync(connection, after);
        }
        finally
        {
            user.Share.EndRequest();
        }

        if (refusal is null)
            return connection;
        await new RefusalResult(refusal, user.Id).ExecuteAsync(context);
        return null;
    }

    /// <summary>What is wrong with the handshake, or null. The framework would only say "not a WebSocket request".</summary>
    private static RefusalResult? Refuse(HttpContext context, IHostEnvironment environment)
    {
        var (request, headers) = (context.Request, context.Response.Headers);
        var isHttp2 = !HttpProtocol.IsHttp11(request.Protocol) && !HttpProtocol.IsHttp10(request.Protocol);
        if (request.Method != (isHttp2 ? HttpMethods.Connect : HttpMethods.Get) && (!isHttp2 || request.Method != HttpMethods.Get))
        {
            headers.Allow = isHttp2 ? "GET, CONNECT" : "GET";
            return Problem(StatusCodes.Status405MethodNotAllowed, "A WebSocket is opened with GET, over HTTP/2 with CONNECT.");
        }

        var isUpgrade = isHttp2
            ? context.Features.Get<IHttpExtendedConnectFeature>() is { IsExtendedConnect: true, Protocol: var connect }
                && IsWebSocket(connect)
            : !HttpProtocol.IsHttp10(request.Protocol)
                && request.Headers.Upgrade.Any(value => value?.Split(',', StringSplitOptions.TrimEntries).Any(IsWebSocket) == true);
        if (!isUpgrade)
        {
            OfferUpgrade();
            return Problem(StatusCodes.Status426UpgradeRequired,
                $"This address speaks WebSocket. Try: {WscatLine($"{request.Scheme}://{request.Host}{request.PathBase}", environment)}");
        }

        var version = request.Headers.SecWebSocketVersion.ToString();
        if (version.Length > 0 && version != Version)
        {
            OfferUpgrade();
            headers.SecWebSocketVersion = Version;
            return Problem(StatusCodes.Status426UpgradeRequired, $"This server speaks WebSocket version {Version} (RFC 6455).");
        }

        if (!context.WebSockets.IsWebSocketRequest || !isHttp2 && !IsKey(request.Headers.SecWebSocketKey.ToString()))
        {
            headers.SecWebSocketVersion = Version;
            return Problem(StatusCodes.Status400BadRequest,
                "The handshake is malformed: it needs Connection: Upgrade, Upgrade: websocket, " +
                "Sec-WebSocket-Version: 13 and a Sec-WebSocket-Key of 16 bytes in base64 (RFC 6455, section 4.1).");
        }

        return null;

        void OfferUpgrade() // goes with every 426 (RFC 9110, section 15.5.22), but HTTP/2 has no such header (RFC 9113, section 8.2.2)
        {
            if (!isHttp2)
                (headers.Upgrade, headers.Connection) = ("websocket", "Upgrade");
        }
    }

    private static bool IsWebSocket(string? protocol) => string.Equals(protocol, "websocket", StringComparison.OrdinalIgnoreCase);

    private static bool IsKey(string key) => key.Length == 24 && Base64.IsValid(key, out var length) && length == 16;

    private static RefusalResult Problem(int status, string detail) => new RefusalResult(new Refusal(null, detail, status));
}
