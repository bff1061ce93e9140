using System.Globalization;
using System.Net.WebSockets;

namespace SimpleChat.Tests.Batteries;

/// <summary>
/// A user who keeps a record, goes on after every crash, and repeats what was not answered (or, now and then, gives it up). Over a
/// WebSocket with
/// <c>chat.ack</c>, many messages unanswered at a time, or over HTTP, one at a time.
/// </summary>
/// <param name="name">Whose.</param>
/// <param name="overHttp">Which way.</param>
/// <param name="others">Whom to write to.</param>
/// <param name="random">This user's own.</param>
/// <param name="window">Messages unanswered at a time. With one alone, a message that is refused can be repeated in its order.</param>
internal sealed class CrashUser(string name, bool overHttp, IReadOnlyList<string> others, Random random, int window = 64)
{
    private const int AcksAtOnce = 16;

    /// <summary>How often a client asks whether its line lives, and how long an answer may take: who only waits learns of no cut.</summary>
    private static readonly TimeSpan Ping = TimeSpan.FromSeconds(5);

    private readonly List<(string Name, string To, string Text)> _unanswered = [];
    private readonly List<long> _received = [];
    private int _next;

    public Record Record { get; } = new(name);

    /// <summary>Who it is, and what it waits for.</summary>
    public override string ToString() =>
        $"{name}, over {(overHttp ? "HTTP" : "WebSocket")}, who waits for an answer to {string.Join(", ", _unanswered)}";

    /// <summary>Chats until the line is cut or <paramref name="enough"/> and everything is answered.</summary>
    /// <param name="server">The server, which listens.</param>
    /// <param name="confirmed">Called for each confirmation.</param>
    /// <param name="enough">No new messages.</param>
    public async Task ChatAsync(ChatProcess server, Action confirmed, CancellationToken enough)
    {
        if (random.Next(8) == 0 && !enough.IsCancellationRequested)
            _unanswered.Clear(); // gives them up
        try
        {
            await (overHttp ? OverHttpAsync(server, confirmed, enough) : OverWebSocketAsync(server.Url, confirmed, enough));
        }
        catch (Exception e) when (
            e is WebSocketException or InvalidOperationException or IOException or HttpRequestException or OperationCanceledException)
        {
            Assert.False(enough.IsCancellationRequested, $"{name} was cut off at the end: {e.Message}");
        }
    }

    /// <summary>
    /// Takes what waits, and acknowledges it, until nothing waits, or what was acknowledged comes again: that is on record then.
    /// </summary>
    public async Task DrainAsync(ChatProcess server)
    {
        var http = new HttpUser(server.Http, name);
        for (long had = 0; await TakeInboxAsync(http) is var last && last > had; had = last)
        {
        }
    }

    private async Task OverWebSocketAsync(Uri url, Action confirmed, CancellationToken enough)
    {
        _received.Clear();
        Record.Connects();
        await using var client = await ConnectAsync(url);
        foreach (var message in _unanswered.ToArray())
            await SendAsync(client, message);
        while (!enough.IsCancellationRequested || _unanswered.Count > 0)
        {
            while (_unanswered.Count < window && !enough.IsCancellationRequested)
                await SendAsync(client, New());
            var frame = await client.ReceiveAsync();
            switch (frame.Type)
            {
                case "sent":
                    Confirm(frame.ClientMessageId!, frame);
                    confirmed();
                    break;
                case "message":
                    Receive(frame);
                    if (_received.Count == AcksAtOnce)
                        await AckAsync(client);
                    break;
                case "delivered":
                    Record.WasToldDelivered(frame.Id);
                    break;
                case "error" when frame.Code == "storage_unavailable" && window == 1:
                    throw new InvalidOperationException("Storage is away.");
                default:
                    Assert.Fail($"{name} was told {frame}");
                    break;
            }
        }
    }

    private async Task OverHttpAsync(ChatProcess server, Action confirmed, CancellationToken enough)
    {
        var http = new HttpUser(server.Http, name);
        while (!enough.IsCancellationRequested || _unanswered.Count > 0)
        {
            if (_unanswered.Count == 0)
                New();
            var message = _unanswered[0];
            Record.Sends(message.To, message.Text, message.Name);
            var answer = await http.SendAsync(message.To, message.Text, message.Name);
            if (answer.Status is 200 or 201)
            {
                Confirm(message.Name, answer.Json);
                confirmed();
            }
            else
            {
                Assert.Equal(503, answer.Status); // it is shutting down
            }

            await TakeInboxAsync(http);
        }
    }

    /// <exception cref="OperationCanceledException">There was no answer, as over a cable that was pulled.</exception>
    private async Task<ChatClient> ConnectAsync(Uri url)
    {
        var connecting = ChatClient.ConnectAsync(url, name, "chat.ack", configure: options =>
            (options.KeepAliveInterval, options.KeepAliveTimeout) = (Ping, Ping));
        if (await Task.WhenAny(connecting, Task.Delay(2 * Ping)) == connecting)
            return await connecting;
        _ = GiveUpAsync();
        throw new OperationCanceledException("No answer to the handshake.");

        async Task GiveUpAsync()
        {
            try
            {
                await using var late = await connecting;
            }
            catch (Exception e) when (e is WebSocketException or TimeoutException)
            {
                // None came.
            }
        }
    }

    /// <returns>The last id of a page; 0 if there is nothing.</returns>
    private async Task<long> TakeInboxAsync(HttpUser http)
    {
        _received.Clear();
        Record.Connects();
        var inbox = await http.GetAsync("/inbox");
        if (inbox.Status != 200)
            return 0;
        foreach (var message in inbox.Messages)
            Receive(message);
        if (_received.Count == 0)
            return 0;
        _received.ForEach(Record.Acknowledges);
        if ((await http.AckAsync([.. _received])).Status == 204)
            _received.ForEach(Record.WasToldDelivered);
        return _received[^1];
    }

    private (string Name, string To, string Text) New()
    {
        var number = (_next++).ToString(CultureInfo.InvariantCulture);
        var message = (number, others[random.Next(others.Count)], $"{name} {number}");
        _unanswered.Add(message);
        return message;
    }

    private Task SendAsync(ChatClient client, (string Name, string To, string Text) message)
    {
        Record.Sends(message.To, message.Text, message.Name);
        return client.SendAsync(message.To, message.Text, message.Name);
    }

    private void Confirm(string message, Frame answer)
    {
        Record.WasConfirmed(message, answer.Id, answer.SentAt.ToUnixTimeMilliseconds());
        _unanswered.RemoveAt(_unanswered.FindIndex(unanswered => unanswered.Name == message));
    }

    private void Receive(Frame message)
    {
        Record.Received(message.Id, message.From, message.Body, message.SentAt.ToUnixTimeMilliseconds());
        _received.Add(message.Id);
    }

    private async Task AckAsync(ChatClient client)
    {
        _received.ForEach(Record.Acknowledges);
        await client.AckAsync([.. _received]);
        _received.Clear();
    }
}
