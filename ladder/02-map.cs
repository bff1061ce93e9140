// Step 2, the map: Kestrel does the handshake and the frames; a dictionary knows who is online.
// Still lost: bob's second tab throws out his first.
#:sdk Microsoft.NET.Sdk.Web
#:property PublishAot=false
using System.Collections.Concurrent;
using System.Net.WebSockets;
using System.Text.Json;

var json = JsonSerializerOptions.Web;
var map = new ConcurrentDictionary<string, Connection>(); // who is online, over which connection
var app = WebApplication.Create();
app.UseWebSockets();

app.MapGet("/chat", async (HttpContext context, string user) =>
{
    using var socket = await context.WebSockets.AcceptWebSocketAsync();
    var connection = new Connection(user, socket);
    map[user] = connection;
    await WriteAsync(connection, new { type = "connected", user, maxMessageBytes = 65536 });
    var first = await Task.WhenAny(ReadAllAsync(connection)); // the client closes or vanishes
    map.TryRemove(user, out _);
    await first;
    await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, default);
});

async Task ReadAllAsync(Connection connection)
{
    var stream = WebSocketStream.Create(connection.Socket, WebSocketMessageType.Text); // JSON objects, until the client closes
    await foreach (var frame in JsonSerializer.DeserializeAsyncEnumerable<Frame>(stream, true, json, app.Lifetime.ApplicationStopping))
        await SendAsync(connection, frame!);
}

// Alice's message has come in. The map is asked who bob is. If he is online, it is pushed.
async Task SendAsync(Connection alice, Frame frame)
{
    if (map.TryGetValue(frame.To, out var bob))
        await WriteAsync(bob, new { type = "message", from = alice.User, frame.To, frame.Text });
}

async Task WriteAsync(Connection connection, object frame) =>
    await connection.Socket.SendAsync(JsonSerializer.SerializeToUtf8Bytes(frame, json), WebSocketMessageType.Text, true, default);

app.Run(args.FirstOrDefault() ?? "http://localhost:5080");

internal sealed record Frame(string To, string Text);
internal sealed record Connection(string User, WebSocket Socket);
