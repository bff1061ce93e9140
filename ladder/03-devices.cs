// Step 3, devices: a set of connections per user, each with a queue and one loop that writes.
// Still lost: bob is away, and the message is gone.
#:sdk Microsoft.NET.Sdk.Web
#:property PublishAot=false
using System.Collections.Concurrent;
using System.Net.WebSockets;
using System.Text.Json;
using System.Threading.Channels;

var json = JsonSerializerOptions.Web;
var map = new ConcurrentDictionary<string, Connection[]>(); // who is online, over which connections
var app = WebApplication.Create();
app.UseWebSockets();

app.MapGet("/chat", async (HttpContext context, string user) =>
{
    using var socket = await context.WebSockets.AcceptWebSocketAsync();
    var connection = new Connection(user, socket, Channel.CreateBounded<object>(16));
    connection.Queue.Writer.TryWrite(new { type = "connected", user, maxMessageBytes = 65536 });
    map.AddOrUpdate(user, [connection], (_, others) => [.. others, connection]);
    var writing = WriteAllAsync(connection);
    var first = await Task.WhenAny(writing, ReadAllAsync(connection)); // whichever ends first ends the connection
    map.AddOrUpdate(user, [], (_, others) => [.. others.Where(other => other != connection)]);
    connection.Queue.Writer.Complete();
    await Task.WhenAll(first, writing);
});

async Task ReadAllAsync(Connection connection)
{
    var stream = WebSocketStream.Create(connection.Socket, WebSocketMessageType.Text); // JSON objects, until the client closes
    await foreach (var frame in JsonSerializer.DeserializeAsyncEnumerable<Frame>(stream, true, json, app.Lifetime.ApplicationStopping))
        await SendAsync(connection, frame!);
}

// Alice's message has come in. It is pushed to bob.
async Task SendAsync(Connection alice, Frame frame)
{
    await PushAsync(frame.To, new { type = "message", from = alice.User, frame.To, frame.Text });
}

// The map is asked who this is. While a queue is full, this waits.
async Task PushAsync(string user, object frame)
{
    foreach (var device in map.GetValueOrDefault(user, []))
        while (await device.Queue.Writer.WaitToWriteAsync() && !device.Queue.Writer.TryWrite(frame)) { }
}

// The only one that writes to this socket.
async Task WriteAllAsync(Connection connection)
{
    await foreach (var frame in connection.Queue.Reader.ReadAllAsync())
        await connection.Socket.SendAsync(JsonSerializer.SerializeToUtf8Bytes(frame, json), WebSocketMessageType.Text, true, default);
    await connection.Socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, default);
}

app.Run(args.FirstOrDefault() ?? "http://localhost:5080");

internal sealed record Frame(string To, string Text);
internal sealed record Connection(string User, WebSocket Socket, Channel<object> Queue);
