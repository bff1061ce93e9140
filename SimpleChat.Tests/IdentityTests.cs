using System.Net;
using System.Net.WebSockets;

namespace SimpleChat.Tests;

/// <summary>Chapter "Who is speaking".</summary>
public sealed class IdentityTests
{
    private const string EveryCharacter = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._@|:+-";

    private readonly Jwt _jwt = new();

    [Fact]
    public async Task In_Development_the_query_says_who_you_are()
    {
        await using var server = await ChatServer.StartNewAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        await new HttpUser(server.Http, "bob").SendAsync("alice", "hi");
        Assert.Equal("bob", (await alice.ExpectAsync("message")).From);
    }

    [Theory]
    [InlineData("GET", "/inbox")]
    [InlineData("POST", "/inbox/ack")]
    [InlineData("GET", "/messages")]
    [InlineData("POST", "/messages")]
    [InlineData("GET", "/users/bob/presence")]
    public async Task Outside_Development_the_query_says_nothing(string method, string path)
    {
        await using var server = await StartInProductionAsync();
        var answer = await new HttpUser(server.Http, "alice").RequestAsync(new HttpMethod(method), path);
        answer.AssertProblem(401);
        Assert.NotEmpty(answer.Head.Headers.WwwAuthenticate); // RFC 9110, section 15.5.2
        (await RawHttp.AskAsync(server.Url, new Handshake())).AssertProblem(401);
    }

    [Theory]
    [InlineData("GET", "/inbox")]
    [InlineData("POST", "/inbox/ack")]
    [InlineData("GET", "/messages")]
    [InlineData("POST", "/messages")]
    [InlineData("GET", "/users/bob/presence")]
    public async Task Nobody_is_answered_401(string method, string path)
    {
        await using var server = await ChatServer.StartNewAsync();
        (await new HttpUser(server.Http, null).RequestAsync(new HttpMethod(method), path)).AssertProblem(401);
        (await RawHttp.AskAsync(server.Url, new Handshake { Target = "/chat" })).AssertProblem(401);
    }

    [Theory]
    [InlineData("a b")]
    [InlineData("a/b")]
    [InlineData("a\nb")]
    [InlineData("a\0b")]
    [InlineData("ålice")]
    [InlineData("alice,bob")]
    [InlineData("129")]
    public async Task A_malformed_user_id_is_answered_400(string user)
    {
        if (user == "129")
            user = new string('a', 129);
        await using var server = await ChatServer.StartNewAsync();
        (await new HttpUser(server.Http, user).GetAsync("/inbox")).AssertProblem(400);
        (await RawHttp.AskAsync(server.Url, new Handshake { Target = $"/chat?user={Uri.EscapeDataString(user)}" })).AssertProblem(400);
    }

    [Fact]
    public async Task A_user_id_may_have_128_characters_and_every_one_of_the_alphabet()
    {
        var longest = EveryCharacter.PadRight(128, 'z');
        await using var server = await ChatServer.StartNewAsync();
        await using var client = await ChatClient.ConnectAsync(server.Url, longest);
        await client.SendAndConfirmAsync("bob", "hi");
        var bob = new HttpUser(server.Http, "bob");
        Assert.Equal(longest, Assert.Single(await bob.InboxAsync()).From);
        Assert.True(await bob.SeesOnlineAsync(longest));
    }

    [Fact]
    public async Task Case_counts()
    {
        await using var server = await ChatServer.StartNewAsync();
        await new HttpUser(server.Http, "alice").SendAsync("Bob", "hi");
        Assert.Empty(await new HttpUser(server.Http, "bob").InboxAsync());
        Assert.Single(await new HttpUser(server.Http, "Bob").InboxAsync());
    }

    [Fact]
    public async Task A_bearer_token_says_who_you_are()
    {
        await using var server = await StartInProductionAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, user: null, configure: options =>
            options.SetRequestHeader("Authorization", "Bearer " + _jwt.Token("alice")));
        Assert.Equal(201, (await new HttpUser(server.Http, null, _jwt.Token("bob")).SendAsync("alice", "hi")).Status);
        Assert.Equal("bob", (await alice.ExpectAsync("message")).From);
    }

    [Fact]
    public async Task A_token_in_the_query_counts_where_a_browser_cannot_set_a_header_and_nowhere_else()
    {
        await using var server = await StartInProductionAsync();
        var token = _jwt.Token("alice");
        Assert.Equal(101, (await RawHttp.AskAsync(server.Url, new Handshake { Target = $"/chat?access_token={token}" })).Status);
        foreach (var path in new[] { "/inbox", "/messages", "/users/bob/presence" })
            (await new HttpUser(server.Http, null).GetAsync($"{path}?access_token={token}")).AssertProblem(401);
    }

    [Fact]
    public async Task What_user_jwts_makes_works_out_of_the_box()
    {
        // The signing key is what `dotnet user-jwts create` leaves in the user secrets; the rest is in appsettings.Development.json.
        var userJwts = new Jwt { From = "dotnet-user-jwts", For = "http://localhost:5000" };
        await using var server = new ChatServer();
        foreach (var (key, value) in userJwts.SigningKey)
            server[key] = value;
        await server.StartAsync();
        Assert.Equal(200, (await new HttpUser(server.Http, null, userJwts.Token("alice")).GetAsync("/inbox")).Status);
    }

    [Fact]
    public async Task A_token_that_is_not_ours_or_is_over_is_answered_401()
    {
        await using var server = await StartInProductionAsync();
        string[] tokens =
        [
            new Jwt().Token("alice"), // another key
            _jwt.Token("alice", TimeSpan.FromMinutes(-10)),
            _jwt.Token("alice")[..^2],
            _jwt.Token(user: null),
            "nonsense",
            "",
        ];
        foreach (var token in tokens)
        {
            (await new HttpUser(server.Http, null, token).GetAsync("/inbox")).AssertProblem(401);
            (await RawHttp.AskAsync(server.Url, new Handshake { Target = $"/chat?access_token={token}" })).AssertProblem(401);
        }
    }

    [Theory]
    [InlineData("someone-else", Jwt.Audience)]
    [InlineData(Jwt.Issuer, "something-else")]
    public async Task A_token_from_or_for_somebody_else_is_answered_401(string issuer, string audience)
    {
        await using var server = new ChatServer { Environment = "Production" };
        var other = new Jwt { From = issuer, For = audience };
        foreach (var (key, value) in _jwt.Settings.Where(setting => !setting.Key.Contains("SigningKeys", StringComparison.Ordinal)))
            server[key] = value;
        foreach (var (key, value) in other.SigningKey) // the right key, so that nothing else is wrong with it
            server[key] = value;
        await server.StartAsync();
        (await new HttpUser(server.Http, null, other.Token("alice")).GetAsync("/inbox")).AssertProblem(401);
    }

    [Fact]
    public async Task A_token_for_a_malformed_user_id_is_answered_400()
    {
        await using var server = await StartInProductionAsync();
        (await new HttpUser(server.Http, null, _jwt.Token("a b")).GetAsync("/inbox")).AssertProblem(400);
        (await RawHttp.AskAsync(server.Url, new Handshake { Target = $"/chat?access_token={_jwt.Token("a/b")}" })).AssertProblem(400);
    }

    [Fact]
    public async Task A_token_may_end_later_than_any_calendar()
    {
        await using var server = await StartInProductionAsync();
        var token = _jwt.Token("alice", expiry: 1L << 60);
        Assert.Equal(200, (await new HttpUser(server.Http, null, token).GetAsync("/inbox")).Status);
        await using var alice = await ChatClient.ConnectAsync(server.Url, user: null, configure: options => options.SetRequestHeader("Authorization", "Bearer " + token));
        await alice.AssertAliveAsync();
        Assert.Empty(server.Log.Faults);
    }

    [Fact]
    public async Task I7_When_the_identity_expires_the_connection_is_closed_with_1008()
    {
        await using var server = await StartInProductionAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, user: null, configure: options =>
            options.SetRequestHeader("Authorization", "Bearer " + _jwt.Token("alice", TimeSpan.FromSeconds(2))));
        await using var bob = await ChatClient.ConnectAsync(server.Url, user: null, configure: options =>
            options.SetRequestHeader("Authorization", "Bearer " + _jwt.Token("bob")));
        Assert.Equal((int)WebSocketCloseStatus.PolicyViolation, (await alice.ReceiveUntilCloseAsync()).Code);
        await bob.AssertAliveAsync();
        Assert.Empty(server.Log.Faults);
    }

    [Fact]
    public async Task A_refused_handshake_says_so_to_a_client_library_too()
    {
        await using var server = await StartInProductionAsync();
        using var socket = new ClientWebSocket();
        socket.Options.CollectHttpResponseDetails = true;
        var url = new UriBuilder(server.Url) { Scheme = "ws", Path = "/chat" }.Uri;
        await Assert.ThrowsAsync<WebSocketException>(() => socket.ConnectAsync(url, CancellationToken.None));
        Assert.Equal(HttpStatusCode.Unauthorized, socket.HttpStatusCode);
    }

    private async Task<ChatServer> StartInProductionAsync()
    {
        var server = new ChatServer { Environment = "Production" };
        foreach (var (key, value) in _jwt.Settings)
            server[key] = value;
        return await server.StartAsync();
    }
}
