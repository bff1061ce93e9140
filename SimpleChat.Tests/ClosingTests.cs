using System.Net.WebSockets;
using System.Text;
using Microsoft.Extensions.Time.Testing;

namespace SimpleChat.Tests;

/// <summary>Chapter "WebSocket": close codes, and the ends without one. I7: every end has a name, and none is a fault in the log.</summary>
public sealed class ClosingTests
{
    /// <summary>What breaks RFC 6455, by name; the bytes are the client's first.</summary>
    private static readonly Dictionary<string, byte[]> Broken = new()
    {
        ["unmasked"] = RawWebSocket.Build(Opcode.Text, """{"type":"ping"}"""u8.ToArray(), mask: false),
        ["RSV1 without an extension"] = RawWebSocket.Build(Opcode.Text, """{"type":"ping"}"""u8.ToArray(), rsv: 4),
        ["RSV2"] = RawWebSocket.Build(Opcode.Text, """{"type":"ping"}"""u8.ToArray(), rsv: 2),
        ["RSV3"] = RawWebSocket.Build(Opcode.Text, """{"type":"ping"}"""u8.ToArray(), rsv: 1),
        ["reserved data opcode"] = RawWebSocket.Build(3, [1]),
        ["reserved control opcode"] = RawWebSocket.Build(11, [1]),
        ["fragmented ping"] = RawWebSocket.Build(Opcode.Ping, [1], fin: false),
        ["ping of 126 bytes"] = RawWebSocket.Build(Opcode.Ping, new byte[126]),
        ["continuation of nothing"] = RawWebSocket.Build(Opcode.Continuation, "x"u8.ToArray()),
        ["new message within another"] =
        [
            .. RawWebSocket.Build(Opcode.Text, "{"u8.ToArray(), fin: false),
            .. RawWebSocket.Build(Opcode.Text, "}"u8.ToArray()),
        ],
        ["length with the highest bit set"] = RawWebSocket.Build(Opcode.Text, "x"u8.ToArray(), claim: 1UL << 63),
        ["close frame of one byte"] = RawWebSocket.Build(Opcode.Close, [3]),
        ["close code that nobody may send"] = RawWebSocket.Build(Opcode.Close, [1005 >> 8, 1005 & 255]),
        ["close code below all others"] = RawWebSocket.Build(Opcode.Close, [999 >> 8, 999 & 255]),
    };

    /// <summary>Texts that are not UTF-8.</summary>
    private static readonly Dictionary<string, byte[]> NotUtf8 = new()
    {
        ["lone continuation byte"] = [0x80],
        ["sequence cut short"] = [0xC3, 0x28],
        ["message ends within a sequence"] = [0xF0, 0x9F, 0x98],
        ["overlong"] = [0xC0, 0x80],
        ["surrogate"] = [0xED, 0xA0, 0x80],
        ["above U+10FFFF"] = [0xF4, 0x90, 0x80, 0x80],
    };

    public static TheoryData<string> BrokenNames => [.. Broken.Keys];

    public static TheoryData<string> NotUtf8Names => [.. NotUtf8.Keys];

    [Theory]
    [MemberData(nameof(BrokenNames))]
    public async Task I7_Frames_that_break_RFC_6455_are_answered_1002(string name)
    {
        await using var server = await ChatServer.StartNewAsync();
        using var alice = await RawWebSocket.ConnectAsync(server.Url, "alice");
        await alice.BytesAsync(Broken[name]);
        await alice.AssertClosedAsync(1002);
        await AssertGoneQuietlyAsync(server, "alice");
    }

    [Fact]
    public async Task I7_A_peer_that_breaks_RFC_6455_and_reads_late_still_finds_1002_behind_what_was_sent_before()
    {
        var clock = new FakeTimeProvider();
        await using var server = await new ChatServer { Time = clock, ["Chat:MessagesPerSecond"] = "0" }.StartAsync();
        var alice = new HttpUser(server.Http, "alice");
        for (var i = 0; i < 40; i++) // more than the peer's kernel takes, less than the server's does
            await alice.SendAsync("bob", new string('x', 2000));
        using var bob = await RawWebSocket.ConnectAsync(server.Url, "bob", receiveBuffer: 4096);
        await bob.FrameAsync(Opcode.Text, "{}"u8.ToArray(), rsv: 7);
        await Deadline.UntilAsync(async () => !await alice.SeesOnlineAsync("bob"), "bob gone");
        for (var i = 0; i < 5; i++)
        {
            clock.Advance(TimeSpan.FromMilliseconds(100)); // what the server waits for a peer that has nothing left to take
            await alice.SeesOnlineAsync("bob");
        }

        Assert.Equal(1002, (await bob.ReadUntilCloseAsync())?.CloseCode);
        clock.Advance(TimeSpan.FromSeconds(1));
        await bob.AssertOverAsync();
    }

    [Theory]
    [MemberData(nameof(NotUtf8Names))]
    public async Task I7_Text_that_is_not_UTF_8_is_answered_1007(string name)
    {
        await using var server = await ChatServer.StartNewAsync();
        using var alice = await RawWebSocket.ConnectAsync(server.Url, "alice");
        byte[] rest = name.StartsWith("message ends", StringComparison.Ordinal) ? [] : [.. "\"}"u8];
        await alice.FrameAsync(Opcode.Text, [.. """{"to":"bob","text":" """u8, .. NotUtf8[name], .. rest]);
        await alice.AssertClosedAsync(1007);
        await AssertGoneQuietlyAsync(server, "alice");
        Assert.Empty(await new HttpUser(server.Http, "bob").InboxAsync());
    }

    [Fact]
    public async Task I7_Text_that_stops_being_UTF_8_in_a_later_fragment_is_answered_1007()
    {
        await using var server = await ChatServer.StartNewAsync();
        using var alice = await RawWebSocket.ConnectAsync(server.Url, "alice");
        await alice.FrameAsync(Opcode.Text, [.. """{"to":"bob","text":" """u8, 0xF0, 0x9F], fin: false);
        await alice.FrameAsync(Opcode.Continuation, [0x98, .. "\"}"u8]);
        await alice.AssertClosedAsync(1007);
        await AssertGoneQuietlyAsync(server, "alice");
    }

    [Theory]
    [InlineData(true, 10)]
    [InlineData(true, 0)]
    [InlineData(false, 10)]
    public async Task I7_A_binary_message_is_answered_1003(bool fin, int length)
    {
        await using var server = await ChatServer.StartNewAsync();
        using var alice = await RawWebSocket.ConnectAsync(server.Url, "alice");
        await alice.FrameAsync(Opcode.Binary, new byte[length], fin);
        await alice.AssertClosedAsync(1003);
        await AssertGoneQuietlyAsync(server, "alice");
    }

    [Fact]
    public async Task I7_A_message_over_the_limit_is_answered_1009_and_one_at_the_limit_is_taken()
    {
        await using var server = await new ChatServer { ["Chat:MaxMessageBytes"] = "1024" }.StartAsync();
        using var alice = await RawWebSocket.ConnectAsync(server.Url, "alice");
        await alice.TextAsync(SendOf(1024));
        Assert.Equal("sent", (await alice.ReadJsonAsync()).Type);
        await FragmentsAsync(alice, SendOf(1024), 100);
        Assert.Equal("sent", (await alice.ReadJsonAsync()).Type);
        await alice.TextAsync(SendOf(1025));
        await alice.AssertClosedAsync(1009);
        await AssertGoneQuietlyAsync(server, "alice");
        Assert.Equal(2, (await new HttpUser(server.Http, "bob").InboxAsync()).Count);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(100)]
    [InlineData(1024)]
    public async Task I7_The_limit_holds_across_fragments(int size)
    {
        await using var server = await new ChatServer { ["Chat:MaxMessageBytes"] = "1024" }.StartAsync();
        using var alice = await RawWebSocket.ConnectAsync(server.Url, "alice");
        await FragmentsAsync(alice, SendOf(1025), size);
        await alice.AssertClosedAsync(1009);
        await AssertGoneQuietlyAsync(server, "alice");
        Assert.Empty(await new HttpUser(server.Http, "bob").InboxAsync());
    }

    [Fact]
    public async Task I8_A_frame_that_claims_to_be_endless_costs_the_limit_and_no_more()
    {
        await using var server = await new ChatServer { ["Chat:MaxMessageBytes"] = "1024" }.StartAsync();
        using var alice = await RawWebSocket.ConnectAsync(server.Url, "alice");
        await alice.FrameAsync(Opcode.Text, new byte[1025], claim: long.MaxValue);
        await alice.AssertClosedAsync(1009);
        await AssertGoneQuietlyAsync(server, "alice");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task I7_A_message_that_takes_too_long_to_arrive_is_answered_1008(bool withinFrame)
    {
        await using var server = await new ChatServer { ["Chat:MessageTimeout"] = "00:00:00.5" }.StartAsync();
        using var idle = await RawWebSocket.ConnectAsync(server.Url, "idle");
        using var alice = await RawWebSocket.ConnectAsync(server.Url, "alice");
        var frame = RawWebSocket.Build(Opcode.Text, "{   "u8.ToArray(), fin: withinFrame);
        var begun = withinFrame ? frame.Length - 3 : frame.Length;
        await alice.BytesAsync(frame[..begun]);
        await alice.AssertClosedAsync(1008, unfinished: frame[begun..]);
        await AssertGoneQuietlyAsync(server, "alice");

        await idle.TextAsync("""{"type":"ping"}"""); // being silent between messages for longer than that is nothing
        Assert.Equal("pong", (await idle.ReadJsonAsync()).Type);
    }

    [Fact]
    public async Task I7_A_message_that_trickles_in_is_answered_1008_too()
    {
        await using var server = await new ChatServer { ["Chat:MessageTimeout"] = "00:00:00.5" }.StartAsync();
        using var alice = await RawWebSocket.ConnectAsync(server.Url, "alice");
        await alice.FrameAsync(Opcode.Text, "{"u8.ToArray(), fin: false);
        var closed = alice.ReadUntilCloseAsync();
        using var trickle = new PeriodicTimer(TimeSpan.FromMilliseconds(100));
        while (!closed.IsCompleted)
        {
            await trickle.WaitForNextTickAsync();
            if (!await TryAsync(alice.FrameAsync(Opcode.Continuation, " "u8.ToArray(), fin: false)))
                break;
        }

        Assert.Equal(1008, (await closed)?.CloseCode);
        await AssertGoneQuietlyAsync(server, "alice");
    }

    [Fact]
    public async Task Empty_fragments_are_allowed_and_count_nothing_towards_the_size()
    {
        await using var server = await new ChatServer { ["Chat:MaxMessageBytes"] = "1000" }.StartAsync();
        using var alice = await RawWebSocket.ConnectAsync(server.Url, "alice");
        var message = Encoding.UTF8.GetBytes(SendOf(1000));

        await alice.FrameAsync(Opcode.Text, message[..500], fin: false);
        for (var i = 0; i < 2000; i++)
            await alice.FrameAsync(Opcode.Continuation, [], fin: false);
        await alice.FrameAsync(Opcode.Continuation, message[500..]);

        Assert.Equal("sent", (await alice.ReadJsonAsync()).Type);
    }

    [Fact]
    public async Task I8_Endless_empty_fragments_are_ended()
    {
        await using var server = await new ChatServer { ["Chat:MessageTimeout"] = "00:00:05" }.StartAsync();
        using var alice = await RawWebSocket.ConnectAsync(server.Url, "alice");
        await alice.FrameAsync(Opcode.Text, [], fin: false);
        var closed = alice.ReadUntilCloseAsync();
        var thousand = Enumerable.Repeat(RawWebSocket.Build(Opcode.Continuation, [], fin: false), 1000)
            .SelectMany(frame => frame).ToArray();
        while (!closed.IsCompleted && await TryAsync(alice.BytesAsync(thousand)))
        {
        }

        // Which of these is not for the contract to say; that the close frame is overtaken by a reset may be, as we never stopped sending.
        Assert.True((await closed)?.CloseCode is 1002 or 1008 or 1009 or null);
        await AssertGoneQuietlyAsync(server, "alice");
    }

    [Theory]
    [InlineData(1000)]
    [InlineData(1001)]
    [InlineData(4321)]
    public async Task I7_A_peers_close_is_answered_with_its_own_code(int code)
    {
        await using var server = await ChatServer.StartNewAsync();
        using var alice = await RawWebSocket.ConnectAsync(server.Url, "alice");
        await alice.CloseAsync(code);
        await alice.AssertClosedAsync(code);
        await AssertGoneQuietlyAsync(server, "alice");
    }

    [Fact]
    public async Task I7_A_peers_close_without_a_code_is_answered_too()
    {
        await using var server = await ChatServer.StartNewAsync();
        using var alice = await RawWebSocket.ConnectAsync(server.Url, "alice");
        await alice.FrameAsync(Opcode.Close, []);
        var answer = await alice.ReadUntilCloseAsync();
        Assert.NotNull(answer);
        Assert.True(answer.CloseCode is null or 1000, $"Got {answer.CloseCode}"); // 1005 is for APIs, never for the wire
        await alice.AssertOverAsync();
        await AssertGoneQuietlyAsync(server, "alice");
    }

    [Fact]
    public async Task What_was_sent_before_the_close_is_answered_before_it()
    {
        await using var server = await ChatServer.StartNewAsync();
        using var alice = await RawWebSocket.ConnectAsync(server.Url, "alice");
        await alice.BytesAsync(
        [
            .. RawWebSocket.Build(Opcode.Text, """{"to":"bob","text":"last words"}"""u8.ToArray()),
            .. RawWebSocket.Build(Opcode.Close, [1000 >> 8, 1000 & 255]),
        ]);
        Assert.Equal("sent", (await alice.ReadJsonAsync()).Type);
        await alice.AssertClosedAsync(1000);
        Assert.Equal("last words", Assert.Single(await new HttpUser(server.Http, "bob").InboxAsync()).Body);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task I7_When_the_server_closes_the_connection_ends_whether_the_peer_answers_or_not(bool answers)
    {
        await using var server = await ChatServer.StartNewAsync();
        using var alice = await RawWebSocket.ConnectAsync(server.Url, "alice");
        await alice.FrameAsync(Opcode.Binary, [1]);
        Assert.Equal(1003, (await alice.ReadUntilCloseAsync())?.CloseCode);
        if (answers)
            await alice.CloseAsync(1003);
        await alice.AssertOverAsync();
        await AssertGoneQuietlyAsync(server, "alice");
    }

    [Fact]
    public async Task A_user_is_offline_as_soon_as_the_close_handshake_is_over()
    {
        await using var server = await ChatServer.StartNewAsync();
        var bob = new HttpUser(server.Http, "bob");
        for (var i = 0; i < 20; i++)
        {
            await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
            Assert.True(await bob.SeesOnlineAsync("alice"));
            await alice.CloseAsync();
            Assert.False(await bob.SeesOnlineAsync("alice"));
        }
    }

    [Theory]
    [InlineData("reset")]
    [InlineData("end of stream")]
    [InlineData("reset within a frame")]
    [InlineData("end of stream within a frame")]
    public async Task I7_A_peer_that_vanishes_is_offline_and_no_fault(string how)
    {
        await using var server = await ChatServer.StartNewAsync();
        using var alice = await RawWebSocket.ConnectAsync(server.Url, "alice");
        if (how.EndsWith("within a frame", StringComparison.Ordinal))
            await alice.FrameAsync(Opcode.Text, "{"u8.ToArray(), claim: 20);
        if (how.StartsWith("reset", StringComparison.Ordinal))
            alice.Reset();
        else
            alice.Dispose();
        await AssertGoneQuietlyAsync(server, "alice");
    }

    [Fact]
    public async Task I2_A_peer_that_answers_no_ping_is_dropped_and_its_messages_stay()
    {
        await using var server = await new ChatServer
        {
            ["Chat:KeepAliveInterval"] = "00:00:00.2",
            ["Chat:KeepAliveTimeout"] = "00:00:03", // the living have as long
        }.StartAsync();
        using var dead = await RawWebSocket.ConnectAsync(server.Url, "dead", "chat.ack");
        await using var alive = await ChatClient.ConnectAsync(server.Url, "alive", "chat.ack");
        var receiving = alive.ReceiveAsync(); // a client library answers pings while it reads
        var alice = new HttpUser(server.Http, "alice");
        await alice.SendAsync("dead", "hi");

        var pings = 0;
        while (await dead.ReadAsync() is { } frame)
        {
            Assert.True(frame.Opcode is Opcode.Ping or Opcode.Text, "A peer that takes nothing more is aborted without a close frame.");
            pings += frame.Opcode == Opcode.Ping ? 1 : 0;
        }

        Assert.True(pings >= 1);
        await AssertGoneQuietlyAsync(server, "dead");
        Assert.Equal("hi", Assert.Single(await new HttpUser(server.Http, "dead").InboxAsync()).Body);
        Assert.True(await alice.SeesOnlineAsync("alive"));
        await alice.SendAsync("alive", "hi");
        Assert.Equal("hi", (await receiving).Body);
    }

    [Fact]
    public async Task I7_A_fault_of_the_server_that_nobody_foresaw_is_1011_and_in_the_log_and_nobody_elses_connection_ends()
    {
        var clock = new BrokenClock();
        await using var server = await new ChatServer { Time = clock, ["Chat:MessagesPerSecond"] = "0" }.StartAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        await using var bob = await ChatClient.ConnectAsync(server.Url, "bob");

        clock.IsBroken = true;
        await alice.SendAsync("bob", "what time is it?");
        Assert.Equal((int)WebSocketCloseStatus.InternalServerError, (await alice.ReceiveUntilCloseAsync()).Code);
        clock.IsBroken = false;

        Assert.Single(server.Log.Faults);
        await bob.AssertAliveAsync();
        Assert.False(await new HttpUser(server.Http, "bob").SeesOnlineAsync("alice"));
    }

    [Fact]
    public async Task I7_When_the_server_stops_it_says_1001()
    {
        await using var server = await ChatServer.StartNewAsync();
        using var raw = await RawWebSocket.ConnectAsync(server.Url, "alice");
        await using var bob = await ChatClient.ConnectAsync(server.Url, "bob", "chat.ack");
        var closed = bob.ReceiveUntilCloseAsync();
        var stopping = server.StopAsync();
        await raw.AssertClosedAsync(1001);
        Assert.Equal((int)WebSocketCloseStatus.EndpointUnavailable, (await closed).Code);
        await stopping.OrFail("the server's stop");
        Assert.Empty(server.Log.Faults);
    }

    [Fact]
    public async Task A_close_code_comes_with_a_reason_in_words()
    {
        await using var server = await ChatServer.StartNewAsync();
        using var alice = await RawWebSocket.ConnectAsync(server.Url, "alice");
        await alice.FrameAsync(Opcode.Binary, [1]);
        var close = await alice.ReadUntilCloseAsync();
        Assert.NotNull(close);
        Assert.InRange(close.Payload.Length, 3, 125); // a code alone would be two bytes; more than 125 a control frame cannot carry
        Assert.NotEmpty(Encoding.UTF8.GetString(close.Payload.AsSpan(2)));
    }

    /// <summary>A send of exactly so many bytes.</summary>
    private static string SendOf(int bytes)
    {
        const string Empty = """{"to":"bob","text":""}""";
        return Empty.Insert(Empty.Length - 2, new string('x', bytes - Empty.Length));
    }

    private static async Task FragmentsAsync(RawWebSocket socket, string text, int size)
    {
        var parts = Encoding.UTF8.GetBytes(text).Chunk(size).ToArray();
        await socket.BytesAsync([.. parts.SelectMany((part, i) =>
            RawWebSocket.Build(i == 0 ? Opcode.Text : Opcode.Continuation, part, fin: i == parts.Length - 1))]);
    }

    /// <returns>false once the connection is over.</returns>
    private static async Task<bool> TryAsync(Task sending)
    {
        try
        {
            await sending;
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }

    private static async Task AssertGoneQuietlyAsync(ChatServer server, string user)
    {
        var somebody = new HttpUser(server.Http, "somebody");
        await Deadline.UntilAsync(async () => !await somebody.SeesOnlineAsync(user), $"{user} is offline");
        Assert.Empty(server.Log.Faults);
    }

    private sealed class BrokenClock : TimeProvider
    {
        public volatile bool IsBroken;

        public override DateTimeOffset GetUtcNow() =>
            IsBroken ? throw new InvalidOperationException("The clock is broken.") : base.GetUtcNow();
    }
}
