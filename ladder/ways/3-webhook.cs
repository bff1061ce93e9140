// Webhook: bob is a server himself, and is called when there is something.
// Argument: how many seconds it runs; a minute if left out. Alice writes once, in the middle.
#:sdk Microsoft.NET.Sdk.Web
#:property PublishAot=false
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

var time = TimeSpan.FromSeconds(int.Parse(args.FirstOrDefault() ?? "60", CultureInfo.InvariantCulture));
var (watch, pieces, bytes) = (Stopwatch.StartNew(), 0, 0);
var app = WebApplication.Create(["--urls=http://127.0.0.1:0", "--Logging:LogLevel:Default=None"]);
var (webhooks, http) = (new Dictionary<string, Uri>(), new HttpClient());
app.MapPut("/webhook", (string user, Webhook webhook) => { webhooks[user] = webhook.Url; });
app.MapPost("/messages", async (string user, Message message) =>
    (await http.PostAsJsonAsync(webhooks[message.To], message with { From = user })).StatusCode);
await app.StartAsync();
var port = new Uri(app.Urls.Single()).Port;

// Bob says where he can be reached, and is called there when alice has written.
using var bob = new TcpListener(IPAddress.Loopback, 0);
bob.Start();
await AskAsync("bob  ", "PUT /webhook?user=bob", $"{{\"url\":\"http://{bob.LocalEndpoint}\"}}");
await Task.Delay(time / 2); // the quiet half minute costs nothing
var writing = AskAsync("alice", "POST /messages?user=alice", "{\"to\":\"bob\",\"text\":\"hi\"}");
using var call = await bob.AcceptTcpClientAsync();
await HearAsync("bob  ", call);
await SayAsync("bob  ", call, "HTTP/1.1 204 No Content\r\n\r\n");
await Task.WhenAll(writing, Task.Delay(time / 2));
Console.WriteLine($"{pieces} pieces and {bytes} bytes in {time.TotalSeconds} seconds, for one message.");

async Task AskAsync(string who, string what, string json)
{
    using var wire = new TcpClient("127.0.0.1", port);
    var headers = $"Host: localhost\r\nContent-Type: application/json\r\nContent-Length: {json.Length}\r\n\r\n";
    await SayAsync(who, wire, $"{what} HTTP/1.1\r\n{headers}{json}");
    await HearAsync(who, wire);
}

async Task SayAsync(string who, TcpClient wire, string text)
{
    Show($"{who} says ", text);
    await wire.GetStream().WriteAsync(Encoding.Latin1.GetBytes(text));
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
internal sealed record Webhook(Uri Url);
