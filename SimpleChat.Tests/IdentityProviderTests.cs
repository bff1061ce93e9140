using System.Diagnostics;

namespace SimpleChat.Tests;

/// <summary>Chapter "Who is speaking", where an identity provider issues the tokens: its keys change, and it may be away.</summary>
public sealed class IdentityProviderTests
{
    /// <summary>Whatever the provider does, an answer comes within this: the contract's 5 s, and some for a busy machine.</summary>
    private static readonly TimeSpan Within = TimeSpan.FromSeconds(6);

    private static readonly string[] Critical = ["exp"];

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_key_that_is_not_known_yet_is_fetched_before_anybody_is_refused(bool withoutKeyId)
    {
        await using var authority = await Authority.StartAsync();
        await using var server = await StartAsync(authority);
        Assert.Equal(200, await StatusAsync(server, authority.Token("alice", withoutKeyId)));
        for (var i = 0; i < 2; i++) // the second time so soon that the server rests before it asks
        {
            authority.Rotate();
            Assert.Equal(200, await StatusAsync(server, authority.Token("alice", withoutKeyId)));
        }

        authority.Rotate();
        var handshake = new Handshake { Target = $"/chat?access_token={authority.Token("alice", withoutKeyId)}" };
        Assert.Equal(101, (await RawHttp.AskAsync(server.Url, handshake)).Status);
        Assert.Empty(Entries(server));
    }

    [Fact]
    public async Task A_key_that_is_known_is_asked_for_once()
    {
        await using var authority = await Authority.StartAsync();
        await using var server = await StartAsync(authority);
        var statuses = await Task.WhenAll(Enumerable.Range(0, 50).Select(i => StatusAsync(server, authority.Token($"user{i}"))));
        Assert.All(statuses, status => Assert.Equal(200, status));
        Assert.Equal(2, authority.Requests); // where the keys are, and the keys
    }

    [Fact]
    public async Task Strangers_with_200_unknown_keys_are_refused_and_the_provider_is_hardly_asked()
    {
        await using var authority = await Authority.StartAsync();
        await using var server = await StartAsync(authority);
        Assert.Equal(200, await StatusAsync(server, authority.Token("alice")));
        var forged = Enumerable.Range(0, 200).AsParallel().Select(_ => authority.ForgedToken("alice")).ToArray();
        var (before, clock) = (authority.Requests, Stopwatch.StartNew());
        Assert.All(await Task.WhenAll(forged.Select(token => StatusAsync(server, token))), status => Assert.Equal(401, status));
        Assert.InRange(authority.Requests - before, 2, 2 * (1 + Math.Ceiling(clock.Elapsed.TotalSeconds))); // a fetch a second

        authority.Rotate();
        Assert.Equal(200, await StatusAsync(server, authority.Token("alice")));
    }

    [Theory]
    [InlineData(nameof(Authority.Mood.Hangs))]
    [InlineData(nameof(Authority.Mood.Fails))]
    [InlineData(nameof(Authority.Mood.AnswersNonsense))]
    [InlineData(nameof(Authority.Mood.HasNoKeys))]
    public async Task While_the_provider_is_away_the_answer_is_503_in_time_never_401_and_one_line_says_so(string mood)
    {
        await using var authority = await Authority.StartAsync();
        authority.Now = Enum.Parse<Authority.Mood>(mood);
        await using var server = await StartAsync(authority);
        var token = authority.Token("alice");
        var clock = Stopwatch.StartNew();
        await Task.WhenAll(Enumerable.Range(0, 10).Select(async i =>
        {
            var answer = await new HttpUser(server.Http, null, token).GetAsync("/inbox");
            answer.AssertProblem(503);
            Assert.NotNull(answer.Head.Headers.RetryAfter);
            (await RawHttp.AskAsync(server.Url, new Handshake { Target = $"/chat?access_token={token}" })).AssertProblem(503);
        }));
        Assert.InRange(clock.Elapsed, TimeSpan.Zero, 2 * Within);
        await Deadline.UntilAsync(() => Task.FromResult(Entries(server).Any()), "a line in the log");
        var line = Assert.Single(Entries(server));
        Assert.DoesNotContain('\n', line.Message);
        Assert.DoesNotContain(token, line.ToString(), StringComparison.Ordinal);
        Assert.Empty(server.Log.Faults);

        authority.Now = Authority.Mood.Answers;
        await Deadline.UntilAsync(async () => await StatusAsync(server, token) == 200, "the provider's return being noticed");
        Assert.Equal(2, Entries(server).Count());
    }

    [Fact]
    public async Task A_provider_that_refuses_connections_is_away_and_known_keys_go_on()
    {
        var authority = await Authority.StartAsync();
        await using var server = await StartAsync(authority);
        var token = authority.Token("alice");
        Assert.Equal(200, await StatusAsync(server, token));
        var forged = authority.ForgedToken("alice");
        await authority.DisposeAsync();
        Assert.Equal(503, await StatusAsync(server, forged));
        Assert.Equal(200, await StatusAsync(server, token));
        Assert.Single(Entries(server));
    }

    [Fact]
    public async Task A_token_that_is_no_user_s_or_asks_for_more_than_is_understood_is_answered_401()
    {
        await using var authority = await Authority.StartAsync();
        await using var server = await StartAsync(authority);
        Assert.Equal(200, await StatusAsync(server, authority.Token("123")));
        Assert.Equal(200, await StatusAsync(server, authority.Token("2026-11-25T10:00:00Z")));
        // RFC 7519, section 4.1.2, and RFC 7515, section 4.1.11.
        foreach (var subject in new object[] { 123, 1.5, true, new[] { "alice" }, new Dictionary<string, object> { ["alice"] = 1 } })
            Assert.Equal(401, await StatusAsync(server, authority.Token(subject)));
        Assert.Equal(401, await StatusAsync(server, authority.Token("alice", header: new() { ["crit"] = Critical })));
        Assert.Empty(server.Log.Faults);
    }

    private static Task<ChatServer> StartAsync(Authority authority) =>
        new ChatServer { Environment = "Production" }.With(authority.Settings).StartAsync();

    private static async Task<int> StatusAsync(ChatServer server, string token) =>
        (await new HttpUser(server.Http, null, token).GetAsync("/inbox")).Status;

    private static IEnumerable<LogEntry> Entries(ChatServer server) =>
        server.Log.Entries.Where(entry => entry.Category == "SimpleChat.Identity.IdentityProvider");
}
