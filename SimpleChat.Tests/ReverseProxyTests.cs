using System.Net.WebSockets;
using System.Text.RegularExpressions;
using static Microsoft.Playwright.Assertions;

namespace SimpleChat.Tests;

/// <summary>Behind nginx, HAProxy and Caddy with the files of deploy/: TLS at the proxy, under a path, each line idle for long.</summary>
public sealed class ReverseProxyTests(Browser browser) : IClassFixture<Browser>, IAsyncLifetime
{
    public static TheoryData<string> Kinds => ["nginx", "haproxy", "caddy"];

    public Task InitializeAsync() => Task.CompletedTask;

    public Task DisposeAsync() => browser.CloseAsync();

    [ReverseProxyTheory]
    [MemberData(nameof(Kinds))]
    public async Task Every_way_to_the_inbox_works_and_outlives_the_proxys_time_out(string kind)
    {
        await using var server = await StartServerAsync();
        await using var proxy = await ReverseProxy.StartAsync(kind, server.Url);
        using var http = proxy.NewClient();
        var origin = proxy.Url.GetLeftPart(UriPartial.Authority);

        // The page's own origin is the outer one; nobody outside can say otherwise, nor from where he comes.
        Assert.Equal(200, await AskAsync(http, "inbox?user=alice", ("Origin", origin)));
        Assert.Equal(403, await AskAsync(http, "inbox?user=alice", ("Origin", origin.Replace("https", "http", StringComparison.Ordinal))));
        Assert.Equal(403, await AskAsync(http, "inbox?user=alice", ("Origin", "https://evil.example"), ("X-Forwarded-Host", "evil.example"),
            ("X-Forwarded-Proto", "https"), ("X-Forwarded-For", "203.0.113.7"), ("Forwarded", "host=evil.example")));
        Assert.DoesNotContain(server.Log.Entries, entry => entry.ToString().Contains("203.0.113.7", StringComparison.Ordinal));
        Assert.Equal(404, await AskAsync(http, "metrics"));
        Assert.Equal(200, (int)(await server.Http.GetAsync(new Uri("/metrics", UriKind.Relative))).StatusCode);
        using var door = await http.GetAsync(new Uri("../simplechat", UriKind.Relative));
        Assert.Equal((301, "/simplechat/"), ((int)door.StatusCode, new Uri(proxy.Url, door.Headers.Location!).AbsolutePath));
        using var help = await http.GetAsync(new Uri("chat", UriKind.Relative));
        Assert.Contains($"wss://{proxy.Url.Authority}/simplechat/chat?user=alice",
            Frame.Parse(await help.Content.ReadAsStringAsync()).Text("detail"), StringComparison.Ordinal);

        // As long as twenty heartbeats of the stream, which is longer than the proxy's time-out, nothing else is said on either line.
        using var bob = await OpenWebSocketAsync(proxy, "bob", origin);
        var pushed = ReceiveAsync(bob); // while it is pending, pings are answered
        using var stream = new StreamReader(await http.GetStreamAsync("inbox/stream?user=bob").OrFail("the stream"));
        var poll = AskAsync(http, "inbox?user=carol&wait=1");
        for (var beats = 0; beats < 20;)
            beats += await stream.ReadLineAsync().OrFail("a heartbeat") == ":" ? 1 : 0;
        Assert.Equal(200, await poll);
        using var sent = await http.PostAsync(new Uri("messages?user=alice", UriKind.Relative),
            new StringContent("""{"to":"bob","text":"through"}""", System.Text.Encoding.UTF8, "application/json"));
        Assert.Equal(201, (int)sent.StatusCode);
        Assert.Contains("\"text\":\"through\"", await pushed, StringComparison.Ordinal);
        string? line;
        do
            line = await stream.ReadLineAsync().OrFail("the event");
        while (line?.StartsWith("data:", StringComparison.Ordinal) == false);
        Assert.Contains("\"text\":\"through\"", line, StringComparison.Ordinal);
    }

    [Fact]
    public void No_long_poll_is_longer_than_the_proxies_wait()
    {
        foreach (var kind in (string[])["nginx", "haproxy"])
        {
            var seconds = Regex.Matches(ReverseProxy.Read(kind), @"(?:proxy_read_timeout|timeout (?:client|server|tunnel)) +(\d+)s");
            Assert.NotEmpty(seconds);
            Assert.All(seconds, time => Assert.True(int.Parse(time.Groups[1].ValueSpan) > 60, $"{kind}: {time}"));
        }
    }

    [ReverseProxyTheory]
    [MemberData(nameof(Kinds))]
    public async Task The_page_chats(string kind)
    {
        await using var server = await StartServerAsync();
        await using var proxy = await ReverseProxy.StartAsync(kind, server.Url);
        await ChatAsync(server, proxy, "Connected by WebSocket.");
    }

    [ReverseProxyTheory]
    [InlineData("nginx")]
    public async Task Where_a_proxy_strips_Upgrade_and_holds_back_every_answer_until_it_ends_the_page_chats_all_the_same(string kind)
    {
        await using var server = await StartServerAsync();
        await using var proxy = await StartBufferingAsync(kind, server, "proxy_buffering on; proxy_ignore_headers X-Accel-Buffering;");
        await ChatAsync(server, proxy, "No WebSocket: long polling meanwhile.");
    }

    [ReverseProxyTheory]
    [InlineData("nginx")]
    public async Task A_proxy_that_buffers_does_not_hold_back_the_stream_if_it_heeds_X_Accel_Buffering(string kind)
    {
        await using var server = await StartServerAsync();
        await using var proxy = await StartBufferingAsync(kind, server, "proxy_buffering on;");
        using var http = proxy.NewClient();
        using var stream = new StreamReader(await http.GetStreamAsync("inbox/stream?user=dave").OrFail("the stream"));
        Assert.StartsWith("retry:", await stream.ReadLineAsync().OrFail("the first line"), StringComparison.Ordinal);
    }

    private static Task<ReverseProxy> StartBufferingAsync(string kind, ChatServer server, string buffering) => ReverseProxy.StartAsync(
        kind, server.Url,
        ("proxy_set_header Upgrade    $http_upgrade;", buffering),
        ("proxy_set_header Connection $simplechat_connection;", "proxy_set_header Connection \"\";"));

    /// <summary>Alice signs in, writes to bob, and sees that it is stored.</summary>
    private async Task ChatAsync(ChatServer server, ReverseProxy proxy, string status)
    {
        var alice = await browser.OpenAsync(proxy.Url, "alice", "bob");
        await Expect(alice.Locator("#status")).ToContainTextAsync(status);
        await alice.GetByLabel("Message", new() { Exact = true }).FillAsync("from outside");
        await alice.Keyboard.PressAsync("Enter");
        await Expect(alice.Locator(".message .stored")).ToBeVisibleAsync();
        Assert.Equal("from outside", Assert.Single(await new HttpUser(server.Http, "bob").InboxAsync()).Body);
    }

    private static async Task<ChatServer> StartServerAsync()
    {
        var server = await new ChatServer
        {
            ["ForwardedHeaders:KnownProxies:0"] = "127.0.0.1",
            ["Chat:KeepAliveInterval"] = "00:00:00.3",
            ["OTEL_METRICS_EXPORTER"] = "prometheus",
        }.StartAsync();
        await new HttpUser(server.Http, "alice").SendAsync("erin", "warm"); // the first takes longest, and the proxies are in a hurry
        return server;
    }

    private static async Task<int> AskAsync(HttpClient http, string path, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        foreach (var (name, value) in headers)
            request.Headers.TryAddWithoutValidation(name, value);
        using var answer = await http.SendAsync(request).OrFail($"an answer to {path}");
        return (int)answer.StatusCode;
    }

    private static async Task<ClientWebSocket> OpenWebSocketAsync(ReverseProxy proxy, string user, string origin)
    {
        var socket = new ClientWebSocket();
        socket.Options.RemoteCertificateValidationCallback = ReverseProxy.IsItsOwn;
        socket.Options.SetRequestHeader("Origin", origin);
        await socket.ConnectAsync(new UriBuilder(new Uri(proxy.Url, $"chat?user={user}")) { Scheme = "wss" }.Uri, default)
            .OrFail("a WebSocket");
        Assert.Contains("connected", await ReceiveAsync(socket), StringComparison.Ordinal);
        return socket;
    }

    private static async Task<string> ReceiveAsync(ClientWebSocket socket)
    {
        var buffer = new byte[4096];
        var frame = await socket.ReceiveAsync(buffer, default).OrFail("a frame");
        return System.Text.Encoding.UTF8.GetString(buffer, 0, frame.Count);
    }
}
