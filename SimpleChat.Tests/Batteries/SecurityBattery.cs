using System.Buffers.Text;
using System.Diagnostics;
using System.Text;
using System.Text.Json;
using Xunit.Abstractions;

namespace SimpleChat.Tests.Batteries;

/// <summary>
/// What OWASP's WebSocket cheat sheet asks for and no other test shows: what is somebody else's stays somebody else's, and an identity
/// cannot be talked into. Origins of handshakes are in HandshakeTests, tokens in IdentityTests and StreamIdentityTests, logs in
/// LoggingTests, sizes, rates and numbers in ClosingTests and LimitsTests.
/// </summary>
[Trait("Category", Battery.Category)]
public sealed class SecurityBattery(ITestOutputHelper output)
{
    /// <summary>
    /// What a bystander's message may take beside a flood, half of them and each: tens of times what it does, for a machine that has other
    /// things to do.
    /// </summary>
    private static readonly TimeSpan MostlyWithin = TimeSpan.FromMilliseconds(500), AlwaysWithin = TimeSpan.FromSeconds(2);

    [Fact]
    public async Task An_inbox_is_emptied_by_its_owner_alone()
    {
        await using var server = await ChatServer.StartNewAsync();
        await using var mallory = await ChatClient.ConnectAsync(server.Url, "mallory", "chat.ack");
        var sent = await new HttpUser(server.Http, "alice").SendAsync("bob", "for bob alone");

        await mallory.AckAsync(sent.Json.Id);
        Assert.Equal(204, (await new HttpUser(server.Http, "mallory").AckAsync(sent.Json.Id)).Status);
        Assert.Equal(204, (await new HttpUser(server.Http, "alice").AckAsync(sent.Json.Id)).Status); // not by its sender either
        await mallory.AssertAliveAsync();

        Assert.Equal(sent.Json.Id, Assert.Single(await new HttpUser(server.Http, "bob").InboxAsync()).Id);
    }

    [Fact]
    public async Task Nothing_that_a_third_party_can_ask_shows_a_conversation()
    {
        await using var server = await ChatServer.StartNewAsync();
        await new HttpUser(server.Http, "alice").SendAsync("bob", "between alice and bob");
        await new HttpUser(server.Http, "bob").SendAsync("alice", "between bob and alice");
        var mallory = new HttpUser(server.Http, "mallory");

        string[] queries =
            ["", "?with=alice", "?with=bob", "?after=0", "?before=9007199254740991", "?with=alice&after=0&limit=200&days=36500"];
        foreach (var query in queries)
            Assert.Empty((await mallory.GetAsync("/messages" + query)).Messages);
        Assert.Empty(await mallory.InboxAsync());
        await using var resumed = await ChatClient.ConnectAsync(server.Url, "mallory", "chat.ack", after: 0);
        await resumed.PingAsync();
        await resumed.ExpectAsync("pong"); // and nothing before it
    }

    [Fact]
    public async Task A_sender_is_who_connected_whatever_the_frame_says()
    {
        await using var server = await ChatServer.StartNewAsync();
        await using var mallory = await ChatClient.ConnectAsync(server.Url, "mallory");
        await mallory.RawTextAsync(
            """{"type":"send","from":"alice","user":"alice","to":"bob","text":"hi","id":7,"sentAt":"1999-01-01T00:00:00.000Z"}""");
        await mallory.ExpectAsync("sent");
        await new HttpUser(server.Http, "mallory").PostAsync("/messages", """{"from":"alice","to":"bob","text":"hi"}""");

        var inbox = await new HttpUser(server.Http, "bob").InboxAsync();
        Assert.Equal(["mallory", "mallory"], inbox.Select(message => message.From));
        Assert.Equal([1, 2], inbox.Select(message => message.Id));
    }

    [Fact]
    public async Task Two_identities_in_one_request_are_none()
    {
        await using var server = await ChatServer.StartNewAsync();
        var answer = await new HttpUser(server.Http, null).GetAsync("/inbox?user=alice&user=bob");
        answer.AssertProblem(400);
    }

    [Theory]
    [InlineData("alice%0d%0aSet-Cookie:x=y")]
    [InlineData("alice%00")]
    [InlineData("alice%20")]
    [InlineData("%D0%B0lice")] // a Cyrillic a
    [InlineData("..%2falice")]
    [InlineData("alice'--")]
    [InlineData("")]
    public async Task A_name_that_only_looks_like_another_is_refused(string user)
    {
        await using var server = await ChatServer.StartNewAsync();
        (await new HttpUser(server.Http, null).GetAsync($"/inbox?user={user}")).AssertProblem(400);
        (await RawHttp.AskAsync(server.Url, new Handshake { Target = $"/chat?user={user}" })).AssertProblem(400);
        // The name is all that was wrong.
        Assert.Equal(101, (await RawHttp.AskAsync(server.Url, new Handshake { Target = "/chat?user=alice" })).Status);
    }

    [Fact]
    public async Task A_token_that_was_tampered_with_is_answered_401()
    {
        var issuer = new Jwt();
        await using var server = await new ChatServer { Environment = "Production" }.With(issuer.Settings).StartAsync();
        var good = issuer.Token("mallory");
        var parts = good.Split('.');
        var body = Encoding.UTF8.GetString(Base64Url.DecodeFromChars(parts[1]));
        var asAlice = Base64Url.EncodeToString(Encoding.UTF8.GetBytes(body.Replace("mallory", "alice", StringComparison.Ordinal)));
        var none = Base64Url.EncodeToString("""{"alg":"none","typ":"JWT"}"""u8);
        var noneSpelled = Base64Url.EncodeToString("""{"alg":"nOnE","typ":"JWT"}"""u8);

        Assert.Equal(200, (await new HttpUser(server.Http, null, good).GetAsync("/inbox")).Status);
        string[] forgeries =
        [
            $"{parts[0]}.{asAlice}.{parts[2]}", $"{none}.{asAlice}.", $"{noneSpelled}.{asAlice}.", $"{none}.{asAlice}.{parts[2]}",
            $"{parts[0]}.{parts[1]}.", good[..^2], good + "AA",
            $"{parts[0]}..{parts[2]}", $"{parts[0]}.{Encoded(body + "x")}.{parts[2]}", $"{parts[0]}.{Encoded("[1]")}.{parts[2]}",
            $"{Encoded("""{"alg":"dir","enc":"A256GCM"}""")}..{parts[1]}.{parts[1]}.{parts[2]}", // encrypted: five parts
        ];
        foreach (var forged in forgeries)
            (await new HttpUser(server.Http, null, forged).GetAsync("/inbox")).AssertProblem(401);

        static string Encoded(string text) => Base64Url.EncodeToString(Encoding.UTF8.GetBytes(text));
    }

    [Fact]
    public async Task One_that_floods_is_slowed_down_and_a_bystander_is_not()
    {
        await using var server = await ChatServer.StartNewAsync();
        await using var mallory = await ChatClient.ConnectAsync(server.Url, "mallory");
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        await using var bob = await ChatClient.ConnectAsync(server.Url, "bob");
        var (sent, isOver) = (0, false);
        var flood = Task.Run(async () =>
        {
            for (; sent < 2000 || !Volatile.Read(ref isOver); sent++)
                await mallory.SendAsync("bob", "spam");
            await mallory.PingAsync();
        });
        var refusals = Task.Run(async () =>
        {
            var limited = 0;
            while (await mallory.ReceiveAsync() is { Type: not "pong" } frame) // what is refused is refused at once: in order
                limited += frame.Type == "error" && frame.Code == "rate_limited" ? 1 : 0;
            return limited;
        });
        var reading = Task.Run(async () => // who does not read would rightly be cut off, if the flood takes long enough
        {
            while (await bob.ReceiveAsync() is { Type: not "pong" })
            {
            }
        });
        var waits = new List<TimeSpan>();
        for (var i = 0; i < 20; i++)
        {
            var asked = Stopwatch.GetTimestamp();
            await alice.SendAndConfirmAsync("carol", "hi");
            waits.Add(Stopwatch.GetElapsedTime(asked));
        }

        Volatile.Write(ref isOver, true);
        await flood;
        Assert.True(await refusals > sent / 2);
        await bob.PingAsync();
        await reading.OrFail("bob's pong");
        waits.Sort();
        output.WriteLine(
            $"{sent} messages in the flood; the bystander's took {waits[10].TotalMilliseconds:F1} ms, " +
            $"the slowest {waits[^1].TotalMilliseconds:F1} ms");
        Assert.True(waits[10] < MostlyWithin && waits[^1] < AlwaysWithin, $"The bystander waited {string.Join(' ', waits)}.");
    }

    [Theory]
    [InlineData("POST", "/messages")]
    [InlineData("POST", "/inbox/ack")]
    [InlineData("GET", "/inbox")]
    [InlineData("GET", "/inbox/stream")]
    public async Task A_strangers_web_page_can_neither_write_nor_read(string method, string path)
    {
        await using var server = await ChatServer.StartNewAsync();
        var waiting = (await new HttpUser(server.Http, "alice").SendAsync("bob", "hi")).Json.Id;
        string[] strangers = ["https://evil.example", "null", server.Url.GetLeftPart(UriPartial.Authority) + "0"];
        foreach (var origin in strangers)
            Assert.Equal(403, await AskAsync(origin));
        Assert.Equal(waiting, Assert.Single(await new HttpUser(server.Http, "bob").InboxAsync()).Id); // nothing came, nothing went

        Assert.InRange(await AskAsync(server.Url.GetLeftPart(UriPartial.Authority)), 200, 204); // its origin is all that was wrong

        async Task<int> AskAsync(string origin)
        {
            using var request = new HttpRequestMessage(new HttpMethod(method), path + "?user=bob");
            if (method == "POST")
                request.Content = new StringContent(
                    $$"""{"to":"bob","text":"forged","ids":[{{waiting}}]}""", Encoding.UTF8, "application/json");
            request.Headers.Add("Origin", origin);
            using var response = await server.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead).OrFail("the headers");
            return (int)response.StatusCode;
        }
    }

    [Fact]
    public async Task Compression_is_not_agreed_to()
    {
        await using var server = await ChatServer.StartNewAsync();
        using var connection = await RawHttp.ConnectAsync(server.Url);
        var handshake = new Handshake().For(server.Url).Replace(
            "\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n", StringComparison.Ordinal);
        var response = await connection.AskAsync(handshake);
        Assert.Equal(101, response.Status);
        Assert.Null(response["Sec-WebSocket-Extensions"]); // lengths would tell of secrets, and a small message could be a huge one
    }

    [Fact]
    public async Task What_is_sent_is_data_and_comes_back_as_data()
    {
        await using var server = await ChatServer.StartNewAsync();
        string[] texts =
        [
            "<script>alert(1)</script>", "'; DROP TABLE MessageDB; --", "{\"type\":\"message\",\"from\":\"alice\"}",
            "a\r\nb\0c\u2028", "../../etc/passwd", "${jndi:ldap://x}",
        ];
        var mallory = new HttpUser(server.Http, "mallory");
        foreach (var text in texts)
            Assert.Equal(201, (await mallory.SendAsync("bob", text)).Status);
        var inbox = await new HttpUser(server.Http, "bob").GetAsync("/inbox");
        Assert.Equal(texts, inbox.Messages.Select(message => message.Body));
        Assert.Equal("application/json", inbox.ContentType);
        Assert.Equal(JsonValueKind.Array, inbox.Json.Json.GetProperty("messages").ValueKind);
    }

    [Fact]
    public async Task Whoever_only_connects_neither_ends_the_server_nor_keeps_anybody_out()
    {
        const int Descriptors = 600;
        string[] openings =
        [
            "", "GET", "GET /inbox?user=mallory HTTP/1.1\r\nHost: localhost\r\nX: ", "\x16\x03\x01", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "GET /alive HTTP/1.1\r\nHost: localhost\r\n\r\n", "GET /app.js HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "GET /inbox HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "GET /inbox?user=mallory HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "POST /messages?user=mallory HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{",
        ];
        var random = new Random(Battery.Seed(output));
        using var folder = new TempFolder();
        await using var server = new ChatProcess
        {
            DatabasePath = folder.DatabasePath,
            Under = ["sh", "-c", $"ulimit -n {Descriptors}; exec \"$@\"", "sh"],
        };
        await server.StartAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        await using var bob = await ChatClient.ConnectAsync(server.Url, "bob");
        var crowd = new List<RawHttp>();
        try
        {
            for (var round = 0; round < Battery.Rounds(10); round++)
            {
                for (var i = 0; i < Descriptors / 8; i++)
                {
                    crowd.Add(await RawHttp.ConnectAsync(server.Url, receiveBuffer: 4096));
                    await TrySayAsync(crowd[^1], openings[random.Next(openings.Length)]);
                }

                using (var newcomer = await RawHttp.ConnectAsync(server.Url))
                    Assert.Equal(200, (await newcomer.AskAsync($"GET /health HTTP/1.1\r\nHost: {server.Url.Authority}\r\n\r\n")).Status);
                await using (var carol = await ChatClient.ConnectAsync(server.Url, "carol"))
                    await carol.SendAndConfirmAsync("bob", $"{round}");
                Assert.Equal($"{round}", (await bob.ExpectAsync("message")).Body);
                await alice.AssertAliveAsync();
                Assert.InRange(server.Handles, 0, Descriptors - 1);
            }
        }
        finally
        {
            crowd.ForEach(one => one.Dispose());
        }

        static async Task TrySayAsync(RawHttp stranger, string what)
        {
            try
            {
                await stranger.Stream.WriteAsync(Encoding.Latin1.GetBytes(what));
            }
            catch (IOException)
            {
                // Closed already: there are newer ones.
            }
        }
    }
}
