using System.Net;
using System.Net.WebSockets;

namespace SimpleChat.Tests;

/// <summary>Chapter "WebSocket: GET /chat", up to the upgrade.</summary>
public sealed class HandshakeTests
{
    [Fact]
    public async Task A_handshake_is_answered_as_in_RFC_6455()
    {
        await using var server = await ChatServer.StartNewAsync();
        var response = await RawHttp.AskAsync(server.Url, new Handshake());
        Assert.Equal(101, response.Status);
        Assert.Equal("websocket", response["Upgrade"], ignoreCase: true);
        Assert.Equal("upgrade", response["Connection"], ignoreCase: true);
        Assert.Equal("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", response["Sec-WebSocket-Accept"]); // the answer to the key of section 1.3
        Assert.Null(response["Sec-WebSocket-Protocol"]);
    }

    [Theory]
    [InlineData("WebSocket", "Upgrade")]
    [InlineData("websocket", "keep-alive, upgrade")]
    [InlineData("WEBSOCKET", "UPGRADE, keep-alive")]
    public async Task Header_values_are_read_as_lists_in_any_case(string upgrade, string connection)
    {
        await using var server = await ChatServer.StartNewAsync();
        Assert.Equal(101, (await RawHttp.AskAsync(server.Url, new Handshake { Upgrade = upgrade, Connection = connection })).Status);
    }

    [Fact]
    public async Task Without_an_upgrade_the_answer_is_426_and_shows_how_to_do_it()
    {
        await using var server = await ChatServer.StartNewAsync();
        var response = await RawHttp.AskAsync(
            server.Url, new Handshake { Upgrade = null, Connection = null, Key = null, Version = null });
        response.AssertProblem(426);
        Assert.Equal("websocket", response["Upgrade"]);
        Assert.Contains("upgrade", response["Connection"] ?? "", StringComparison.OrdinalIgnoreCase); // RFC 9110, section 7.8
        Assert.Contains("wscat", response.Body, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("abc")]
    [InlineData("AAAAAAAAAAAAAAAAAAAA")] // 15 bytes
    [InlineData("AAAAAAAAAAAAAAAAAAAAAAA=")] // 17 bytes
    [InlineData("!!!!!!!!!!!!!!!!!!!!!!==")]
    public async Task A_handshake_with_a_malformed_key_is_answered_400(string? key)
    {
        await using var server = await ChatServer.StartNewAsync();
        (await RawHttp.AskAsync(server.Url, new Handshake { Key = key })).AssertProblem(400);
    }

    [Theory]
    [InlineData("8")]
    [InlineData("12")]
    [InlineData("14")]
    [InlineData("thirteen")]
    public async Task Another_WebSocket_version_is_answered_426_with_ours(string version)
    {
        await using var server = await ChatServer.StartNewAsync();
        var response = await RawHttp.AskAsync(server.Url, new Handshake { Version = version });
        response.AssertProblem(426);
        Assert.Equal("13", response["Sec-WebSocket-Version"]);
        Assert.Equal("websocket", response["Upgrade"]); // with every 426 (RFC 9110, section 15.5.22)
        Assert.Equal("Upgrade", response["Connection"]);
    }

    [Fact]
    public async Task HTTP_1_0_cannot_upgrade()
    {
        await using var server = await ChatServer.StartNewAsync();
        var response = await RawHttp.AskAsync(server.Url, new Handshake { Http = "HTTP/1.0" });
        // RFC 9110, section 7.8 has it ignored, RFC 6455, section 4.2.1 has it malformed.
        Assert.True(response.Status is 400 or 426, $"Got {response.Status}");
    }

    [Theory]
    [InlineData("POST")]
    [InlineData("PUT")]
    [InlineData("DELETE")]
    public async Task Another_method_is_answered_405_with_those_that_work(string method)
    {
        await using var server = await ChatServer.StartNewAsync();
        var response = await RawHttp.AskAsync(server.Url, new Handshake { Method = method });
        response.AssertProblem(405);
        Assert.Contains("GET", (response["Allow"] ?? "").Split(',', StringSplitOptions.TrimEntries));
    }

    [Fact]
    public async Task An_origin_must_be_the_servers_own_or_listed()
    {
        await using var server = await new ChatServer { ["Chat:AllowedOrigins:0"] = "https://chat.example.org" }.StartAsync();
        var own = server.Url.GetLeftPart(UriPartial.Authority);
        foreach (var origin in new[] { own, "https://chat.example.org" })
            Assert.Equal(101, (await RawHttp.AskAsync(server.Url, new Handshake { Origin = origin })).Status);

        string[] strangers =
        [
            "null", "https://evil.example", "http://chat.example.org", "https://chat.example.org:444",
            "https://chat.example.org.evil.example",
            "https://evil.example/https://chat.example.org", "http://127.0.0.1", own + "0", "http://localhost:1", "nonsense",
        ];
        foreach (var origin in strangers)
            (await RawHttp.AskAsync(server.Url, new Handshake { Origin = origin })).AssertProblem(403);
    }

    [Fact]
    public async Task With_no_origin_listed_there_is_still_only_the_servers_own()
    {
        await using var server = await ChatServer.StartNewAsync();
        (await RawHttp.AskAsync(server.Url, new Handshake { Origin = "https://evil.example" })).AssertProblem(403);
        Assert.Equal(101,
            (await RawHttp.AskAsync(server.Url, new Handshake { Origin = server.Url.GetLeftPart(UriPartial.Authority) })).Status);
    }

    [Theory]
    [InlineData("chat", "chat")]
    [InlineData("chat.ack", "chat.ack")]
    [InlineData("chat, chat.ack", "chat")]
    [InlineData("chat.ack, chat", "chat.ack")]
    [InlineData("superchat,chat.ack,chat", "chat.ack")]
    [InlineData("superchat|chat.ack|chat", "chat.ack")]
    [InlineData("superchat", null)]
    [InlineData("CHAT", null)]
    public async Task The_first_offered_subprotocol_that_the_server_knows_is_selected(string offered, string? selected)
    {
        await using var server = await ChatServer.StartNewAsync();
        var response = await RawHttp.AskAsync(server.Url, new Handshake { Protocols = offered.Split('|') });
        Assert.Equal(101, response.Status);
        Assert.Equal(selected, response["Sec-WebSocket-Protocol"]);
    }

    [Fact]
    public async Task Connected_says_who_the_user_is_and_how_large_a_message_may_be()
    {
        await using var server = await new ChatServer { ["Chat:MaxMessageBytes"] = "4096" }.StartAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        Assert.Equal("""{"type":"connected","user":"alice","maxMessageBytes":4096}""", alice.Connected.ToString());
    }

    [Fact]
    public async Task A_refused_handshake_leaves_nothing_behind()
    {
        await using var server = await new ChatServer { ["Chat:ConnectionsPerUser"] = "1" }.StartAsync();
        foreach (var bad in new[] { new Handshake { Key = null }, new Handshake { Version = "8" }, new Handshake { Origin = "null" } })
            Assert.NotEqual(101, (await RawHttp.AskAsync(server.Url, bad)).Status);
        Assert.False(await new HttpUser(server.Http, "bob").SeesOnlineAsync("alice"));
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
    }

    [Fact]
    public async Task Over_HTTP_2_a_WebSocket_is_opened_by_CONNECT()
    {
        await using var server = await new ChatServer { ["Kestrel:EndpointDefaults:Protocols"] = "Http2" }.StartAsync();
        using var http = new HttpMessageInvoker(new SocketsHttpHandler());
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice", "chat.ack", configure: UseHttp2, http: http);
        await using var bob = await ChatClient.ConnectAsync(server.Url, "bob", configure: UseHttp2, http: http);
        await alice.SendAndConfirmAsync("bob", "hi");
        Assert.Equal("hi", (await bob.ExpectAsync("message")).Body);
        await alice.CloseAsync();
        await bob.CloseAsync();
        Assert.Empty(server.Log.Faults);
    }

    [Fact]
    public async Task Over_HTTP_2_too_a_strange_origin_is_refused()
    {
        await using var server = await new ChatServer { ["Kestrel:EndpointDefaults:Protocols"] = "Http2" }.StartAsync();
        using var http = new HttpMessageInvoker(new SocketsHttpHandler());
        using var socket = new ClientWebSocket();
        UseHttp2(socket.Options);
        socket.Options.CollectHttpResponseDetails = true;
        socket.Options.SetRequestHeader("Origin", "https://evil.example");
        var url = new UriBuilder(server.Url) { Scheme = "ws", Path = "/chat", Query = "user=alice" }.Uri;
        await Assert.ThrowsAsync<WebSocketException>(() => socket.ConnectAsync(url, http, CancellationToken.None));
        Assert.Equal(HttpStatusCode.Forbidden, socket.HttpStatusCode);
    }

    private static void UseHttp2(ClientWebSocketOptions options)
    {
        options.HttpVersion = HttpVersion.Version20;
        options.HttpVersionPolicy = HttpVersionPolicy.RequestVersionExact;
    }
}
