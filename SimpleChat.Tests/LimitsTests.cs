using System.Diagnostics;
using Microsoft.Extensions.Time.Testing;

namespace SimpleChat.Tests;

/// <summary>Chapter "Settings": the limits, at work.</summary>
public sealed class LimitsTests
{
    [Fact]
    public async Task A_user_that_sends_too_fast_is_answered_rate_limited_and_nothing_is_stored()
    {
        const int Rate = 5, Count = 100;
        await using var server = await new ChatServer { ["Chat:MessagesPerSecond"] = $"{Rate}" }.StartAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        await using var carol = await ChatClient.ConnectAsync(server.Url, "carol");
        var watch = Stopwatch.StartNew();
        for (var i = 0; i < Count; i++)
            await alice.SendAsync("bob", $"{i}", $"c{i}");

        var (sent, refused) = (new List<string?>(), new List<string?>());
        for (var i = 0; i < Count; i++)
        {
            var frame = await alice.ReceiveAsync();
            if (frame.Type == "sent")
            {
                sent.Add(frame.ClientMessageId);
            }
            else
            {
                Assert.Equal(("error", "rate_limited"), (frame.Type, frame.Code));
                refused.Add(frame.ClientMessageId);
            }
        }

        Assert.Equal(Enumerable.Range(0, 2 * Rate).Select(i => $"c{i}"), sent.Take(2 * Rate)); // the burst
        Assert.InRange(sent.Count, 2 * Rate, (2 * Rate) + (Rate * watch.Elapsed.TotalSeconds) + 1);
        Assert.Equal(Count, sent.Concat(refused).Distinct().Count());
        Assert.Equal(sent.Count, (await new HttpUser(server.Http, "bob").InboxAsync()).Count);
        Assert.Equal("sent", (await carol.SendAndConfirmAsync("bob", "another user's limit is another")).Type);
        await alice.AssertAliveAsync();
    }

    [Fact]
    public async Task One_request_more_than_a_user_may_have_under_way_is_answered_429_bodies_that_still_come_in_counted()
    {
        await using var server = await new ChatServer { ["Chat:RequestsPerUser"] = "3" }.StartAsync();
        var (alice, bob) = (new HttpUser(server.Http, "alice"), new HttpUser(server.Http, "bob"));
        var poll = alice.GetAsync("/inbox?wait=60");
        var address = new Uri("/inbox/stream?user=alice", UriKind.Relative);
        using var stream = await server.Http.GetAsync(address, HttpCompletionOption.ResponseHeadersRead).OrFail("the headers");
        using var slow = await RawHttp.ConnectAsync(server.Url);
        await slow.Stream.WriteAsync(
            System.Text.Encoding.ASCII.GetBytes(
                $"POST /messages?user=alice HTTP/1.1\r\nHost: {server.Url.Authority}\r\n" +
                "Content-Type: application/json\r\nContent-Length: 99\r\nExpect: 100-continue\r\n\r\n"));
        var goOn = new byte["HTTP/1.1 100 Continue\r\n\r\n".Length];
        await slow.Stream.ReadExactlyAsync(goOn).AsTask().OrFail("the body being read: the request is under way");

        HttpAnswer? refused = null;
        await Deadline.UntilAsync(async () => (refused = await alice.GetAsync("/users/bob/presence")).Status == 429,
            "the fourth request is refused");
        refused!.AssertProblem(429);
        Assert.NotNull(refused.Header("Retry-After"));
        Assert.Equal(200, (await bob.GetAsync("/users/alice/presence")).Status);

        slow.Reset();
        await Deadline.UntilAsync(async () => (await alice.GetAsync("/users/bob/presence")).Status == 200, "there is room again");
        await bob.SendAsync("alice", "hi");
        Assert.Equal("hi", Assert.Single((await poll).Messages).Body);
    }

    [Fact]
    public async Task The_rate_is_one_user_s_over_connections_and_HTTP_and_recovers()
    {
        var time = new FakeTimeProvider();
        await using var server = await new ChatServer { Time = time, ["Chat:MessagesPerSecond"] = "1" }.StartAsync();
        await using var phone = await ChatClient.ConnectAsync(server.Url, "alice");
        var http = new HttpUser(server.Http, "alice");
        await phone.SendAndConfirmAsync("bob", "one");
        Assert.Equal(201, (await http.SendAsync("bob", "two")).Status);

        var refused = await http.SendAsync("bob", "three", "c3");
        refused.AssertProblem(429, "rate_limited");
        Assert.InRange(refused.Head.Headers.RetryAfter?.Delta?.TotalSeconds ?? 0, 1, 10);
        await using var laptop = await ChatClient.ConnectAsync(server.Url, "alice");
        await laptop.SendAsync("bob", "three", "c3");
        Assert.Equal("rate_limited", (await laptop.FindAsync("error")).Code);

        time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(201, (await http.SendAsync("bob", "three", "c3")).Status);
        Assert.Equal(["one", "two", "three"], (await new HttpUser(server.Http, "bob").InboxAsync()).Select(message => message.Body));
    }

    [Fact]
    public async Task A_peer_that_answers_no_ping_is_offline_after_the_keep_alive_interval_and_time_out()
    {
        await using var server =
            await new ChatServer { ["Chat:KeepAliveInterval"] = "00:00:04", ["Chat:KeepAliveTimeout"] = "00:00:02" }.StartAsync();
        var alice = new HttpUser(server.Http, "alice");
        using var bob = await RawWebSocket.ConnectAsync(server.Url, "bob"); // reads nothing, and so answers nothing
        var silent = Stopwatch.StartNew();
        Assert.True(await alice.SeesOnlineAsync("bob"));

        await Deadline.UntilAsync(async () => !await alice.SeesOnlineAsync("bob"), "bob is offline");
        Assert.InRange(silent.Elapsed.TotalSeconds, 2, 7); // 6, and what the machine takes
    }

    [Fact]
    public async Task A_rate_of_0_is_no_limit()
    {
        await using var server = await new ChatServer { ["Chat:MessagesPerSecond"] = "0" }.StartAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        for (var i = 0; i < 2000; i++)
            await alice.SendAsync("bob", "hi");
        for (var i = 0; i < 2000; i++)
            await alice.ExpectAsync("sent");
    }

    [Fact]
    public async Task One_connection_of_a_user_too_many_is_answered_429()
    {
        await using var server = await new ChatServer { ["Chat:ConnectionsPerUser"] = "2" }.StartAsync();
        await using var first = await ChatClient.ConnectAsync(server.Url, "alice");
        await using var second = await ChatClient.ConnectAsync(server.Url, "alice");
        (await RawHttp.AskAsync(server.Url, new Handshake())).AssertProblem(429);
        await using var bob = await ChatClient.ConnectAsync(server.Url, "bob");

        await first.CloseAsync();
        await using var third = await ChatClient.ConnectAsync(server.Url, "alice");
        await second.AssertAliveAsync();
        (await RawHttp.AskAsync(server.Url, new Handshake())).AssertProblem(429);
    }

    [Fact]
    public async Task One_connection_too_many_in_all_is_answered_503()
    {
        await using var server = await new ChatServer { ["Chat:MaxConnections"] = "2" }.StartAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        await using var bob = await ChatClient.ConnectAsync(server.Url, "bob");
        for (var i = 0; i < 3; i++)
        {
            var refused = await RawHttp.AskAsync(server.Url, new Handshake { Target = "/chat?user=carol" });
            refused.AssertProblem(503);
            Assert.Matches("^[1-9][0-9]*$", refused["Retry-After"]);
        }

        await alice.CloseAsync();
        await using var carol = await ChatClient.ConnectAsync(server.Url, "carol");
        await bob.SendAndConfirmAsync("carol", "hi");
        Assert.Equal("hi", (await carol.ExpectAsync("message")).Body);
        Assert.Empty(server.Log.Faults);
    }

    [Fact]
    public async Task Many_handshakes_at_once_do_not_get_past_the_limit()
    {
        await using var server = await new ChatServer { ["Chat:ConnectionsPerUser"] = "3" }.StartAsync();
        var attempts = await Task.WhenAll(Enumerable.Range(0, 20).Select(async _ =>
        {
            var connection = await RawHttp.ConnectAsync(server.Url);
            return (Connection: connection, (await connection.AskAsync(new Handshake().For(server.Url))).Status);
        }));
        Assert.Equal(3, attempts.Count(attempt => attempt.Status == 101));
        Assert.Equal(17, attempts.Count(attempt => attempt.Status == 429));
        foreach (var (connection, _) in attempts)
            connection.Dispose();
    }

    [Theory]
    [InlineData("chat")]
    [InlineData("chat.ack")]
    public async Task I4_A_peer_that_takes_nothing_for_too_long_is_dropped_and_its_messages_stay(string protocol)
    {
        const int Count = 250;
        await using var server = await new ChatServer { ["Chat:MessagesPerSecond"] = "0", ["Chat:SendTimeout"] = "00:00:01" }.StartAsync();
        using var stalled = await RawWebSocket.ConnectAsync(server.Url, "bob", protocol, receiveBuffer: 4096);
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        var text = new string('x', 60_000); // 15 MB in all: more than the kernel holds for it
        for (var i = 0; i < Count; i++)
            await alice.SendAndConfirmAsync("bob", $"{i} {text}");
        await Deadline.UntilAsync(async () => !await new HttpUser(server.Http, "alice").SeesOnlineAsync("bob"), "bob is dropped");

        await using var bob = await ChatClient.ConnectAsync(server.Url, "bob");
        await alice.SendAndConfirmAsync("bob", "barrier");
        var waited = (await bob.BeforeAsync("barrier"))
            .ConvertAll(message => message.Body[..message.Body.IndexOf(' ', StringComparison.Ordinal)]);
        Assert.NotEmpty(waited);
        Assert.Equal(Enumerable.Range(Count - waited.Count, waited.Count).Select(i => $"{i}"), waited); // no hole up to the newest
        if (protocol == "chat.ack")
            Assert.Equal(Count, waited.Count);
        Assert.Empty(server.Log.Faults);
    }

    [Fact]
    public async Task I8_Readers_that_take_nothing_wait_for_each_other_and_do_not_fill_the_memory()
    {
        using var folder = new TempFolder();
        await using var server = await new ChatProcess
        {
            DatabasePath = folder.DatabasePath,
            ["Chat:MessagesPerSecond"] = "0",
            Variables = { ["DOTNET_GCHeapHardLimit"] = "0x7800000" }, // 120 MB
        }.StartAsync();
        var text = new string('\u007f', 60_000); // each takes six bytes in JSON
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice", "chat.ack");
        string[] names = [.. Enumerable.Range(0, 8).Select(i => $"reader{i}")];
        await WriteAsync(4); // these are read from the database
        var readers = await Task.WhenAll(names.SelectMany(name => Enumerable.Range(0, 15).Select(_ =>
            RawWebSocket.ConnectAsync(server.Url, name, "chat.ack", receiveBuffer: 4096))));
        await WriteAsync(8); // and these are pushed

        await using var bob = await ChatClient.ConnectAsync(server.Url, "bob");
        await alice.SendAsync("bob", "still there?");
        await bob.ExpectAsync("message");
        Assert.Equal(200, (await new HttpUser(server.Http, "alice").GetAsync("/health")).Status);
        Assert.DoesNotContain(server.Output.Concat(server.Errors), line => line.Contains("OutOfMemory", StringComparison.Ordinal));
        foreach (var reader in readers)
            reader.Dispose();

        async Task WriteAsync(int count)
        {
            for (var i = 0; i < count; i++)
            {
                foreach (var name in names)
                {
                    await alice.RawTextAsync($$"""{"to":"{{name}}","text":"{{text}}"}""");
                    await alice.FindAsync("sent");
                }
            }
        }
    }

    [Fact]
    public async Task I4_A_peer_that_sends_and_never_takes_its_answers_is_dropped_too()
    {
        await using var server = await new ChatServer { ["Chat:MessagesPerSecond"] = "0", ["Chat:SendTimeout"] = "00:00:01" }.StartAsync();
        using var mallory = await RawWebSocket.ConnectAsync(server.Url, "mallory", receiveBuffer: 4096);
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        var pings = Enumerable.Repeat(RawWebSocket.Build(Opcode.Text, """{"type":"ping"}"""u8.ToArray()), 1000)
            .SelectMany(frame => frame).ToArray();
        var flood = Task.Run(async () =>
        {
            try
            {
                while (true)
                    await mallory.BytesAsync(pings);
            }
            catch (Exception e) when (e is IOException or TimeoutException)
            {
                return e;
            }
        });

        Assert.IsType<IOException>(await flood.OrFail("mallory is cut off"), exactMatch: false);
        await Deadline.UntilAsync(async () => !await new HttpUser(server.Http, "alice").SeesOnlineAsync("mallory"), "mallory is dropped");
        await alice.AssertAliveAsync();
        Assert.Empty(server.Log.Faults);
    }
}
