// WebSocket: bob and alice ask once, and from then on both sides write when they have something.
// Argument: how many seconds it runs; a minute if left out. Alice writes once, in the middle.
#:sdk Microsoft.NET.Sdk.Web
#:property PublishAot=false
using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Text;

var time = TimeSpan.FromSeconds(int.Parse(args.FirstOrDefault() ?? "60", CultureInfo.InvariantCulture));
var (watch, pieces, bytes) = (Stopwatch.StartNew(), 0, 0);
var app = WebApplication.Create(["--urls=http://127.0.0.1:0", "--Logging:LogLevel:Default=None"]);
var map = new ConcurrentDictionary<string, WebSocket>();
app.UseWebSockets(new WebSocketOptions { KeepAliveInterval = TimeSpan.FromSeconds(15) });
app.MapGet("/chat", async (HttpContext context, string user) =>
{
    map[user] = await context.WebSockets.AcceptWebSocketAsync();
    for (var buffer = new byte[4096]; ;)
    {
        var length = (await map[user].ReceiveAsync(buffer.AsMemory(), default)).Count;
        await map["bob"].SendAsync(buffer.AsMemory(0, length), WebSocketMessageType.Text, true, default);
    }
});
await app.StartAsync();
var port = new Uri(app.Urls.Single()).Port;

// Both are connected all the time, and pay a few bytes for it.
using TcpClient bob = new("127.0.0.1", port), alice = new("127.0.0.1", port);
foreach (var (who, wire) in new[] { ("bob  ", bob), ("alice", alice) })
{
    await SayAsync(who, wire, $"GET /chat?user={who.Trim()} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    _ = HearAllAsync(who, wire);
}
await Task.Delay(time / 2);
// A text frame of 24 bytes: a client's is masked, with four zeros here, so that it can be read.
await SayAsync("alice", alice, "\u0081\u0098\0\0\0\0{\"to\":\"bob\",\"text\":\"hi\"}");
await Task.Delay(time / 2);
Console.WriteLine($"{pieces} pieces and {bytes} bytes in {time.TotalSeconds} seconds, for one message.");

async Task SayAsync(string who, TcpClient wire, string text)
{
    Show($"{who} says ", text);
    await wire.GetStream().WriteAsync(Encoding.Latin1.GetBytes(text));
}

async Task HearAllAsync(string who, TcpClient wire)
{
    for (var buffer = new byte[4096]; ;)
        Show($"{who} hears", Encoding.Latin1.GetString(buffer, 0, await wire.GetStream().ReadAsync(buffer)));
}

void Show(string who, string text)
{
    (pieces, bytes) = (pieces + 1, bytes + text.Length);
    var shown = text[0] < 0x80 ? text.Trim() : $"{(int)text[0]:X2} {(int)text[1]:X2} {text[2..].Replace("\0", "00 ")}"; // a frame
    Console.WriteLine($"{watch.Elapsed.TotalSeconds,5:F1} s  {who}  {shown.ReplaceLineEndings("\n" + new string(' ', 22))}");
}
