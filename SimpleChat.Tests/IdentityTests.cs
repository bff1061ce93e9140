using System.Net;
using System.Net.WebSockets;
using Microsoft.Extensions.Time.Testing;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

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
        var userJwts = new Jwt { From = "dotnet-user-jwts", For = "http://localhost:5080" };
        await using var server = await new ChatServer().With(userJwts.SigningKey).StartAsync();
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
        var other = new Jwt { From = issuer, For = audience };
        await using var server = await new ChatServer { Environment = "Production" }
            .With(_jwt.Settings.Except(_jwt.SigningKey))
            .With(other.SigningKey) // the right key, and trusted, so that nothing else is wrong with it
            .With([("Authentication:Schemes:Bearer:SigningKeys:0:Issuer", Jwt.Issuer)])
            .StartAsync();
        (await new HttpUser(server.Http, null, other.Token("alice")).GetAsync("/inbox")).AssertProblem(401);
    }

    [Fact]
    public async Task A_token_that_never_ends_or_has_not_begun_is_answered_401()
    {
        // RFC 7519 leaves exp out of what a token must have; a token without one could never be got rid of. ASP.NET Core refuses it too,
        // unless told otherwise.
        await using var server = await StartInProductionAsync();
        var now = TimeProvider.System.GetUtcNow().UtcDateTime;
        var hour = TimeSpan.FromHours(1);
        var skew = TokenValidationParameters.DefaultClockSkew;
        foreach (var (status, from, to) in new (int, DateTime?, DateTime?)[]
        {
            (200, null, now + hour),
            (200, now - hour, now + hour),
            (200, now + skew / 2, now + hour), // by an issuer whose clock is ahead
            (401, now + 2 * skew, now + hour),
            (401, now - hour, null),
            (401, null, null),
        })
        {
            var token = Token("alice", from, to);
            Assert.Equal(status, (await new HttpUser(server.Http, null, token).GetAsync("/inbox")).Status);
            var handshake = await RawHttp.AskAsync(server.Url, new Handshake { Target = $"/chat?access_token={token}" });
            Assert.Equal(status == 200 ? 101 : status, handshake.Status);
        }

        string Token(string user, DateTime? from, DateTime? to)
        {
            var key = Convert.FromBase64String(
                _jwt.SigningKey.Single(setting => setting.Key.EndsWith("Value", StringComparison.Ordinal)).Value);
            return new JsonWebTokenHandler { SetDefaultTimesOnTokenCreation = false }.CreateToken(new SecurityTokenDescriptor
            {
                Issuer = Jwt.Issuer,
                Audience = Jwt.Audience,
                NotBefore = from,
                Expires = to,
                Claims = new Dictionary<string, object> { [JwtRegisteredClaimNames.Sub] = user },
                SigningCredentials = new SigningCredentials(new SymmetricSecurityKey(key), SecurityAlgorithms.HmacSha256),
            });
        }
    }

    [Theory]
    [InlineData("Development", "alice")]
    [InlineData("Production", "mallory")]
    public async Task The_query_beside_a_token_counts_in_Development_alone(string environment, string user)
    {
        await using var server = await StartAsync(environment);
        await new HttpUser(server.Http, "alice", _jwt.Token("mallory")).SendAsync("bob", "hi");
        using var line = await RawHttp.ConnectAsync(server.Url);
        var target = $"/chat?user=alice&access_token={_jwt.Token("mallory")}";
        Assert.Equal(101, (await line.AskAsync(new Handshake { Target = target }.For(server.Url))).Status);

        var bob = new HttpUser(server.Http, "bob", _jwt.Token("bob"));
        Assert.Equal(user, Assert.Single(await bob.InboxAsync()).From);
        foreach (var name in new[] { "alice", "mallory" })
            Assert.Equal(name == user, await bob.SeesOnlineAsync(name));
    }

    [Fact]
    public async Task Beside_a_header_a_token_in_the_query_counts_for_nothing()
    {
        await using var server = await StartInProductionAsync();
        var (alice, mallory) = (_jwt.Token("alice"), _jwt.Token("mallory"));
        foreach (var (status, header, query) in new[] { (101, alice, mallory), (101, alice, "nonsense"), (401, "nonsense", mallory) })
        {
            using var line = await RawHttp.ConnectAsync(server.Url);
            var handshake = new Handshake { Target = $"/chat?access_token={query}" }.For(server.Url)
                .Replace("\r\n\r\n", $"\r\nAuthorization: Bearer {header}\r\n\r\n", StringComparison.Ordinal);
            Assert.Equal(status, (await line.AskAsync(handshake)).Status);
            Assert.False(await new HttpUser(server.Http, null, alice).SeesOnlineAsync("mallory"));
        }
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
        await using var alice = await ChatClient.ConnectAsync(server.Url, user: null,
            configure: options => options.SetRequestHeader("Authorization", "Bearer " + token));
        await alice.AssertAliveAsync();
        Assert.Empty(server.Log.Faults);
    }

    [Fact]
    public async Task I7_When_the_identity_expires_the_connection_is_closed_with_1008()
    {
        var time = new FakeTimeProvider(TimeProvider.System.GetUtcNow());
        await using var server = await new ChatServer { Environment = "Production", Time = time }.With(_jwt.Settings).StartAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, user: null, configure: options =>
            options.SetRequestHeader("Authorization", "Bearer " + _jwt.Token("alice", TimeSpan.FromSeconds(10))));
        await using var bob = await ChatClient.ConnectAsync(server.Url, user: null, configure: options =>
            options.SetRequestHeader("Authorization", "Bearer " + _jwt.Token("bob")));
        var closed = alice.ReceiveUntilCloseAsync();
        await Deadline.UntilAsync(() =>
        {
            time.Advance(TimeSpan.FromSeconds(1));
            return Task.FromResult(closed.IsCompleted);
        }, "the end of alice's connection");
        Assert.Equal((int)WebSocketCloseStatus.PolicyViolation, (await closed).Code);
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

    private Task<ChatServer> StartInProductionAsync() => StartAsync("Production");

    private Task<ChatServer> StartAsync(string environment) =>
        new ChatServer { Environment = environment }.With(_jwt.Settings).StartAsync();
}
