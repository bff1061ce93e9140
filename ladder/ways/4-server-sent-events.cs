// Server-Sent Events: bob asks once, and the answer never ends.
// Argument: how many seconds it runs; a minute if left out. Alice writes once, in the middle.
#:sdk Microsoft.NET.Sdk.Web
#:property PublishAot=false
using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using System.Threading.Channels;

var time = TimeSpan.FromSeconds(int.Parse(args.FirstOrDefault() ?? "60", CultureInfo.InvariantCulture));
var (watch, pieces, bytes) = (Stopwatch.StartNew(), 0, 0);
var app = WebApplication.Create(["--urls=http://127.0.0.1:0", "--Logging:LogLevel:Default=None"]);
var inbox = Channel.CreateUnbounded<Message>();
app.MapPost("/messages", (string user, Message message) => { inbox.Writer.TryWrite(message with { From = user }); });
app.MapGet("/inbox/stream", (string user) => TypedResults.ServerSentEvents(inbox.Reader.ReadAllAsync(), eventType: "message"));
await app.StartAsync();
var port = new Uri(app.Urls.Single()).Port;

// Bob asks once, and listens.
var listening = BobAsync();
await Task.Delay(time / 2);
using var alice = new TcpClient("127.0.0.1", port);
await AskAsync("alice", alice, "POST /messages?user=alice HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
    "Content-Length: 24\r\n\r\n{\"to\":\"bob\",\"text\":\"hi\"}");
await Task.WhenAny(listening, Task.Delay(time / 2));
Console.WriteLine($"{pieces} pieces and {bytes} bytes in {time.TotalSeconds} seconds, for one message.");

async Task BobAsync()
{
    using var bob = new TcpClient("127.0.0.1", port);
    await AskAsync("bob  ", bob, "GET /inbox/stream?user=bob HTTP/1.1\r\nHost: localhost\r\n\r\n");
    while (true)
        await HearAsync("bob  ", bob);
}

async Task AskAsync(string who, TcpClient wire, string text)
{
    Show($"{who} says ", text);
    await wire.GetStream().WriteAsync(Encoding.Latin1.GetBytes(text));
    await HearAsync(who, wire);
}

async Task HearAsync(string who, TcpClient wire)
{
    var buffer = new byte[4096];
    Show($"{who} hears", Encoding.Latin1.GetString(buffer, 0, await wire.GetStream().ReadAsync(buffer)));
}

void Show(string who, string text)
{
    (pieces, bytes) = (pieces + 1, bytes + text.Length);
    Console.WriteLine($"{watch.Elapsed.TotalSeconds,5:F1} s  {who}  {text.Trim().ReplaceLineEndings("\n" + new string(' ', 22))}");
}

internal sealed record Message(string? From, string To, string Text);
