using System.Text;

namespace SimpleChat.Tests;

/// <summary>
/// I8: input that has no business to be there, by name. Each is answered with something definite, none is a fault in the log, and a
/// bystander's connection goes on. What is wrong with a frame's JSON or breaks RFC 6455 is in <see cref="SendTests"/> and
/// <see cref="ClosingTests"/>.
/// </summary>
public sealed class BadInputTests(BadInputTests.Scene scene) : IClassFixture<BadInputTests.Scene>
{
    private const string Json = "Content-Type: application/json\r\n", Body = """{"to":"trent","text":"hi"}""";

    /// <summary>A whole handshake, but for what is added at its end.</summary>
    private static readonly string Handshake = new Handshake { Target = "/chat?user=mallory" }.For(new Uri("http://127.0.0.1"))[..^2];

    /// <summary>Requests that HTTP itself does not allow (RFC 9112), by what is wrong with them.</summary>
    private static readonly Dictionary<string, string> Broken = new()
    {
        ["two hosts"] = $"{Handshake}Host: evil.example\r\n\r\n",
        ["the same host twice"] = $"{Handshake}Host: 127.0.0.1\r\n\r\n",
        ["no host"] = Handshake.Replace("Host: 127.0.0.1\r\n", "", StringComparison.Ordinal) + "\r\n",
        ["a host that is none"] = Handshake.Replace("Host: 127.0.0.1", "Host: a b", StringComparison.Ordinal) + "\r\n",
        ["NUL in a header"] = $"{Handshake}X-Nul: a\0b\r\n\r\n",
        ["NUL in a header's name"] = $"{Handshake}X-\0Nul: ab\r\n\r\n",
        ["CR in a header"] = $"{Handshake}X-Cr: a\rb\r\n\r\n",
        ["a header that is folded"] = $"{Handshake}X-Folded: a\r\n b\r\n\r\n",
        ["a blank before the colon"] = $"{Handshake}X-Blank : a\r\n\r\n",
        ["two lengths"] =
            $"POST /messages?user=mallory HTTP/1.1\r\nHost: localhost\r\n{Json}" +
            $"Content-Length: {Body.Length}\r\nContent-Length: 5\r\n\r\n{Body}",
        ["a negative length"] = $"POST /messages?user=mallory HTTP/1.1\r\nHost: localhost\r\n{Json}Content-Length: -1\r\n\r\n{Body}",
        ["a length beyond all numbers"] =
            $"POST /messages?user=mallory HTTP/1.1\r\nHost: localhost\r\n{Json}Content-Length: 99999999999999999999\r\n\r\n{Body}",
        ["chunks inside something else"] =
            $"POST /messages?user=mallory HTTP/1.1\r\nHost: localhost\r\n{Json}Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        ["%00 in the path"] = Handshake.Replace("/chat?", "/chat%00?", StringComparison.Ordinal) + "\r\n",
        ["NUL in the path"] = Handshake.Replace("/chat?", "/chat\0?", StringComparison.Ordinal) + "\r\n",
        ["somebody else's address"] = Handshake.Replace("/chat?", "http://evil.example/chat?", StringComparison.Ordinal) + "\r\n",
    };

    public static TheoryData<string> BrokenNames => [.. Broken.Keys];

    [Theory]
    [MemberData(nameof(BrokenNames))]
    public async Task I8_A_request_that_breaks_RFC_9112_is_answered_400_and_nothing_after_it_is_read(string name)
    {
        using var mallory = await RawHttp.ConnectAsync(scene.Url);
        // A proper one behind it: where the broken one ends, nobody can say.
        var answer = await mallory.AskAsync(Broken[name] + Handshake + "\r\n");
        Assert.Equal((400, "close"), (answer.Status, answer["Connection"]));
        await AssertOverAsync(mallory);
        await scene.AssertUnmovedAsync();
    }

    [Theory]
    [InlineData("a header", 431)]
    [InlineData("all headers together", 431)]
    [InlineData("the first line", 414)]
    public async Task I8_A_head_that_is_too_big_is_answered_with_what_is_too_big(string what, int status)
    {
        using var mallory = await RawHttp.ConnectAsync(scene.Url);
        var answer = await mallory.AskAsync(what switch
        {
            "a header" => $"{Handshake}X-Big: {new string('a', 40_000)}\r\n\r\n",
            "all headers together" => Handshake + string.Concat(Enumerable.Repeat("X-Small: a\r\n", 200)) + "\r\n",
            _ => Handshake.Replace("mallory", $"mallory&x={new string('a', 10_000)}", StringComparison.Ordinal) + "\r\n",
        });
        Assert.Equal((status, "close"), (answer.Status, answer["Connection"]));
        await AssertOverAsync(mallory);
        await scene.AssertUnmovedAsync();
    }

    [Theory]
    [InlineData(Tests.Handshake.ExampleKey)]
    [InlineData("AQIDBAUGBwgJCgsMDQ4PEA==")]
    public async Task I8_A_handshake_with_two_keys_is_answered_400(string second) // RFC 6455, section 11.3.1
    {
        using var mallory = await RawHttp.ConnectAsync(scene.Url);
        (await mallory.AskAsync($"{Handshake}Sec-WebSocket-Key: {second}\r\n\r\n")).AssertProblem(400);
        await scene.AssertUnmovedAsync();
    }

    /// <summary>
    /// RFC 9112, section 6.3: the chunks count, and the connection ends, because somebody on the way may have counted otherwise.
    /// </summary>
    [Theory]
    [InlineData("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n")]
    [InlineData("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n")]
    public async Task I8_Of_two_lengths_the_chunks_count_and_a_request_smuggled_in_behind_them_is_not_answered(string lengths)
    {
        using var mallory = await RawHttp.ConnectAsync(scene.Url);
        var answer = await mallory.AskAsync(
            $"POST /messages?user=mallory HTTP/1.1\r\nHost: localhost\r\n{Json}{lengths}\r\n{Body.Length:x}\r\n{Body}\r\n0\r\n\r\n" +
            "GET /inbox?user=trent HTTP/1.1\r\nHost: localhost\r\n\r\n");
        Assert.Equal((201, "close"), (answer.Status, answer["Connection"]));
        await AssertOverAsync(mallory);
        Assert.Equal("hi", Frame.Parse(answer.Body).Body);
        await scene.AssertUnmovedAsync();
    }

    [Theory]
    [InlineData("//chat?user=mallory", 404)]
    [InlineData("/chat/..%2f?user=mallory", 404)]
    [InlineData("/chat/..%2fchat?user=mallory", 404)]
    [InlineData("/chat;x?user=mallory", 404)]
    [InlineData("/chat?user=mal%00lory", 400)]
    [InlineData("/chat?user=%ff", 400)]
    [InlineData("/chat?user=mallory#alice", 400)]
    // Dots are taken out before anybody looks (RFC 3986, section 5.2.4), and the identity is asked for behind that.
    [InlineData("/../chat?user=mallory", 101)]
    [InlineData("/%2e%2e/chat?user=mallory", 101)]
    [InlineData("/../chat", 401)]
    [InlineData("/%2e%2e/inbox", 401)]
    public async Task I8_An_address_that_plays_tricks_leads_nowhere_else(string target, int status)
    {
        using var mallory = await RawHttp.ConnectAsync(scene.Url);
        var answer = await mallory.AskAsync(new Handshake { Target = target }.For(scene.Url));
        Assert.Equal(status, answer.Status);
        if (status != 101)
            answer.AssertProblem(status);
        await scene.AssertUnmovedAsync();
    }

    /// <summary>
    /// RFC 6455, section 5.2, has the sender write a length as short as it can be, and says nothing of a reader; there is no doubt how long
    /// the frame is.
    /// </summary>
    [Theory]
    [InlineData(15, 126)]
    [InlineData(15, 127)]
    [InlineData(200, 127)]
    [InlineData(60_000, 127)]
    public async Task I8_A_length_that_is_written_longer_than_need_be_is_read_all_the_same(int length, int form)
    {
        using var mallory = await RawWebSocket.ConnectAsync(scene.Url, "mallory");
        await mallory.BytesAsync(Written("""{"type":"ping"}""".PadRight(length), form));
        await mallory.BytesAsync(Written("""{"type":"nonsense"}""", form)); // and the next frame begins where this one ended
        Assert.Equal("pong", (await mallory.ReadJsonAsync()).Type);
        Assert.Equal("unknown_type", (await mallory.ReadJsonAsync()).Code);
        await scene.AssertUnmovedAsync();
    }

    [Theory]
    [InlineData("POST /messages", "Transfer-Encoding: chunked", "1\r\n{\r\n", "1\r\n \r\n")]
    [InlineData("POST /inbox/ack", "Transfer-Encoding: chunked", "1\r\n{\r\n", "1\r\n \r\n")]
    [InlineData("PUT /webhook", "Transfer-Encoding: chunked", "1\r\n{\r\n", "1\r\n \r\n")]
    [InlineData("POST /messages", "Content-Length: 1000", "{", " ")]
    [InlineData("POST /inbox/ack", "Content-Length: 1000", "{", " ")]
    [InlineData("PUT /webhook", "Content-Length: 1000", "{", " ")]
    public async Task I8_A_body_that_dribbles_in_is_answered_408(string line, string length, string first, string more)
    {
        await using var server = await new ChatServer { ["Chat:MessageTimeout"] = "00:00:00.5" }.StartAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        using var mallory = await RawHttp.ConnectAsync(server.Url);
        var answer = await DribbleAsync(mallory, $"{line}?user=mallory HTTP/1.1\r\nHost: localhost\r\n{Json}{length}\r\n\r\n{first}",
            Enumerable.Repeat(more, 900));
        answer.AssertProblem(408);
        await AssertUnmovedAsync(server, alice);
    }

    [Theory]
    [InlineData("POST /messages", "fffffffffffffffff\r\n")] // overflows: the framework throws an IOException of its own
    [InlineData("POST /inbox/ack", "fffffffffffffffff\r\n")]
    [InlineData("PUT /webhook", "fffffffffffffffff\r\n")]
    [InlineData("PUT /webhook", "-1\r\n")]
    [InlineData("PUT /webhook", "1\r\n{no end\r\n")]
    public async Task I8_A_body_whose_chunks_are_none_is_answered_400_and_leaves_no_trace(string line, string chunks)
    {
        using var mallory = await RawHttp.ConnectAsync(scene.Url);
        var answer = await mallory.AskAsync(
            $"{line}?user=mallory HTTP/1.1\r\nHost: localhost\r\n{Json}Transfer-Encoding: chunked\r\n\r\n{chunks}");
        answer.AssertProblem(400);
        await scene.AssertUnmovedAsync();
    }

    [Fact]
    public async Task I8_A_handshake_that_dribbles_in_is_answered_408()
    {
        await using var server = await new ChatServer { ["Chat:MessageTimeout"] = "00:00:00.5" }.StartAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        using var mallory = await RawHttp.ConnectAsync(server.Url);
        var answer = await DribbleAsync(mallory, Handshake[..20], (Handshake[20..] + "\r\n").Select(one => one.ToString()));
        Assert.Equal((408, "close"), (answer.Status, answer["Connection"]));
        await AssertOverAsync(mallory);
        await AssertUnmovedAsync(server, alice);
    }

    /// <summary>Piece by piece, until an answer comes, or the connection's end behind it.</summary>
    private static async Task<RawResponse> DribbleAsync(RawHttp connection, string first, IEnumerable<string> pieces)
    {
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        var answer = connection.AskAsync(first);
        try
        {
            foreach (var piece in pieces.TakeWhile(_ => !answer.IsCompleted))
            {
                await tick.WaitForNextTickAsync();
                await connection.Stream.WriteAsync(Encoding.ASCII.GetBytes(piece));
            }
        }
        catch (IOException)
        {
        }

        return await answer;
    }

    /// <summary>A masked text frame with its length in 16 (126) or 64 bits (127), whether it needs them or not.</summary>
    private static byte[] Written(string text, int form)
    {
        var shortest = RawWebSocket.Build(Opcode.Text, Encoding.UTF8.GetBytes(text));
        var header = text.Length <= 125 ? 2 : text.Length <= ushort.MaxValue ? 4 : 10;
        byte[] length = form == 126
            ? [(byte)(text.Length >> 8), (byte)text.Length]
            : [0, 0, 0, 0, 0, 0, (byte)(text.Length >> 8), (byte)text.Length];
        return [shortest[0], (byte)(0x80 | form), .. length, .. shortest[header..]];
    }

    /// <summary>Nothing follows: the server closed the connection, and a reset is as good.</summary>
    private static async Task AssertOverAsync(RawHttp connection)
    {
        try
        {
            Assert.Equal(0, await connection.Stream.ReadAsync(new byte[1]).AsTask().OrFail("the end of the connection"));
        }
        catch (IOException)
        {
        }
    }

    /// <summary>Alice is where she was, and the log has no fault.</summary>
    private static async Task AssertUnmovedAsync(ChatServer server, ChatClient alice)
    {
        await alice.AssertAliveAsync();
        Assert.Empty(server.Log.Faults);
    }

    /// <summary>One server for all that needs no other settings, and alice, who has nothing to do with any of it.</summary>
    public sealed class Scene : IAsyncLifetime
    {
        private ChatServer? _server;
        private ChatClient? _alice;

        public Uri Url => _server!.Url;

        public async Task InitializeAsync()
        {
            _server = await ChatServer.StartNewAsync();
            _alice = await ChatClient.ConnectAsync(_server.Url, "alice");
        }

        public Task AssertUnmovedAsync() => BadInputTests.AssertUnmovedAsync(_server!, _alice!);

        public async Task DisposeAsync()
        {
            await _alice!.DisposeAsync();
            await _server!.DisposeAsync();
        }
    }
}
