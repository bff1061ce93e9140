// Long polling: bob asks, and the server answers when there is something, or after 25 seconds.
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
app.MapGet("/inbox", async (string user, int wait) =>
{
    await Task.WhenAny(inbox.Reader.WaitToReadAsync().AsTask(), Task.Delay(TimeSpan.FromSeconds(wait)));
    return new { messages = inbox.Reader.TryRead(out var message) ? [message] : Array.Empty<Message>() };
});
await app.StartAsync();
var port = new Uri(app.Urls.Single()).Port;

// Bob asks. The answer comes when alice has written, and he asks at once for the next.
using var bob = new TcpClient("127.0.0.1", port);
for (var writing = AliceAsync(); watch.Elapsed < time || !writing.IsCompleted;)
    await AskAsync("bob  ", bob, "GET /inbox?user=bob&wait=" + Math.Clamp((time - watch.Elapsed).Seconds, 1, 25) +
        " HTTP/1.1\r\nHost: localhost\r\n\r\n");
Console.WriteLine($"{pieces} pieces and {bytes} bytes in {time.TotalSeconds} seconds, for one message.");

async Task AliceAsync()
{
    await Task.Delay(time / 2);
    using var alice = new TcpClient("127.0.0.1", port);
    await AskAsync("alice", alice, "POST /messages?user=alice HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
        "Content-Length: 24\r\n\r\n{\"to\":\"bob\",\"text\":\"hi\"}");
}

async Task AskAsync(string who, TcpClient wire, string text)
{
    Show($"{who} says ", text);
    await wire.GetStream().WriteAsync(Encoding.Latin1.GetBytes(text));
    await HearAsync(who, wire);
}

async Task HearAsync(string who, TcpClient wire)
{
    var (buffer, length) = (new byte[4096], 0);
    for (var read = 1; read > 0 && !buffer.AsSpan(0, length).EndsWith("\r\n\r\n"u8); length += read) // it may come in parts
        read = await wire.GetStream().ReadAsync(buffer.AsMemory(length));
    Show($"{who} hears", Encoding.Latin1.GetString(buffer, 0, length));
}

void Show(string who, string text)
{
    (pieces, bytes) = (pieces + 1, bytes + text.Length);
    Console.WriteLine($"{watch.Elapsed.TotalSeconds,5:F1} s  {who}  {text.Trim().ReplaceLineEndings("\n" + new string(' ', 22))}");
}

internal sealed record Message(string? From, string To, string Text);
