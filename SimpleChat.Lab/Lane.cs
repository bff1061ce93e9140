using System.Net;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json;

namespace SimpleChat.Lab;

/// <summary>
/// One of the ways to hear of a message: a user of its own, with a cable of its own that counts the bytes. It tells the record what happens
/// at the client's end.
/// </summary>
/// <param name="name">The way; also the user's name.</param>
/// <param name="cable">The cable.</param>
/// <param name="tell">Notes what happened.</param>
internal sealed class Lane(string name, Cable cable, Action<LaneEntry> tell)
{
    private static readonly TimeSpan ShortPoll = TimeSpan.FromSeconds(2);

    /// <summary>How long the server waits with its answer to a long poll, in seconds.</summary>
    private const int LongPoll = 25;

    private (long Up, long Down) _told;

    /// <summary>Asks again and again.</summary>
    public async Task PollAsync(HttpClient http, CancellationToken end)
    {
        using var again = new PeriodicTimer(ShortPoll);
        do
            await AskAsync(http, "inbox", end);
        while (await again.WaitForNextTickAsync(end));
    }

    /// <summary>Asks, and the server waits with its answer.</summary>
    public async Task LongPollAsync(HttpClient http, CancellationToken end)
    {
        while (true)
            await AskAsync(http, $"inbox?wait={LongPoll}", end);
    }

    /// <summary>One answer without an end.</summary>
    public async Task StreamAsync(HttpClient http, CancellationToken end)
    {
        Tell("request");
        using var stream = new StreamReader(await http.GetStreamAsync(For("inbox/stream"), end));
        Tell("answer");
        while (await stream.ReadLineAsync(end) is { } line)
        {
            if (line.StartsWith(':'))
                Tell("ping");
            if (line.StartsWith("data:", StringComparison.Ordinal))
                await AcknowledgeAsync(http, [Arrive(JsonDocument.Parse(line[5..]).RootElement)], end);
        }
    }

    /// <summary>Frames, both ways.</summary>
    public async Task WebSocketAsync(CancellationToken end)
    {
        using var socket = new ClientWebSocket();
        socket.Options.AddSubProtocol("chat.ack");
        Tell("request");
        await socket.ConnectAsync(new Uri($"ws://127.0.0.1:{cable.Port}/chat?user={name}"), end);
        Tell("answer");
        var buffer = new byte[64 * 1024];
        while (true)
        {
            var got = await socket.ReceiveAsync(buffer.AsMemory(), end);
            if (got.MessageType == WebSocketMessageType.Close)
                return;
            using var frame = JsonDocument.Parse(buffer.AsMemory(0, got.Count));
            if (frame.RootElement.GetProperty("type").GetString() == "message")
                await socket.SendAsync(Acknowledgement([Arrive(frame.RootElement)]), WebSocketMessageType.Text, true, end);
        }
    }

    /// <summary>Says where the server is to call.</summary>
    public async Task RegisterAsync(HttpClient http, int port, CancellationToken end)
    {
        Tell("request");
        var secret = Convert.ToBase64String(new byte[32]); // nobody but this machine can call
        using var body = Json($$"""{"url":"http://127.0.0.1:{{port}}/webhook","secret":"whsec_{{secret}}"}""");
        using var answer = await http.PutAsync(For("webhook"), body, end);
        Tell("answer");
    }

    /// <summary>The server called.</summary>
    public async Task CalledAsync(HttpContext context)
    {
        Tell("request");
        using var body = await JsonDocument.ParseAsync(context.Request.Body, cancellationToken: context.RequestAborted);
        Arrive(body.RootElement);
        context.Response.StatusCode = (int)HttpStatusCode.NoContent;
        context.Response.OnCompleted(() =>
        {
            Tell("answer");
            return Task.CompletedTask;
        });
    }

    /// <summary>Something came or went that nobody has told of: pings, acknowledgements.</summary>
    public void TellRest()
    {
        if ((cable.Up, cable.Down) != _told)
            Tell("ping");
    }

    private async Task AskAsync(HttpClient http, string path, CancellationToken end)
    {
        Tell("request");
        using var inbox = JsonDocument.Parse(await http.GetStringAsync(For(path), end));
        Tell("answer");
        long[] ids = [.. inbox.RootElement.GetProperty("messages").EnumerateArray().Select(Arrive)];
        if (ids.Length > 0)
            await AcknowledgeAsync(http, ids, end);
    }

    private async Task AcknowledgeAsync(HttpClient http, long[] ids, CancellationToken end)
    {
        Tell("request");
        using var body = Json(Encoding.UTF8.GetString(Acknowledgement(ids)));
        using var answer = await http.PostAsync(For("inbox/ack"), body, end);
        Tell("answer");
    }

    private long Arrive(JsonElement message)
    {
        var id = message.GetProperty("id").GetInt64();
        Tell("arrived", id);
        return id;
    }

    private void Tell(string what, long? id = null)
    {
        lock (this)
        {
            var (up, down) = (cable.Up, cable.Down);
            tell(new LaneEntry(name, what, up - _told.Up, down - _told.Down, id));
            _told = (up, down);
        }
    }

    private Uri For(string path) =>
        new($"http://127.0.0.1:{cable.Port}/{path}{(path.Contains('?', StringComparison.Ordinal) ? '&' : '?')}user={name}");

    private static byte[] Acknowledgement(long[] ids) => Encoding.UTF8.GetBytes($$"""{"type":"ack","ids":[{{string.Join(',', ids)}}]}""");

    private static StringContent Json(string text) => new(text, Encoding.UTF8, "application/json");
}
