using System.Diagnostics;
using System.Net.Http.Headers;
using System.Net.ServerSentEvents;
using Microsoft.Extensions.Time.Testing;

namespace SimpleChat.Tests;

/// <summary>Who may read <c>GET /inbox/stream</c>, and for how long.</summary>
public sealed class StreamIdentityTests
{
    [Fact]
    public async Task A_token_may_come_in_the_address_and_the_stream_ends_when_it_expires()
    {
        var jwt = new Jwt();
        var time = new FakeTimeProvider(TimeProvider.System.GetUtcNow());
        await using var server = await new ChatServer { Environment = "Production", Time = time }.With(jwt.Settings).StartAsync();

        using var refused = await server.Http.GetAsync("/inbox/stream?user=bob");
        Assert.Equal(401, (int)refused.StatusCode);

        var token = jwt.Token("bob", TimeSpan.FromSeconds(10));
        using var stream = await server.Http.GetAsync($"/inbox/stream?access_token={token}", HttpCompletionOption.ResponseHeadersRead)
            .OrFail("the headers");
        Assert.Equal(200, (int)stream.StatusCode);
        Assert.Equal("text/event-stream", stream.Content.Headers.ContentType?.MediaType);
        Assert.Equal(new CacheControlHeaderValue { NoStore = true }, stream.Headers.CacheControl);
        Assert.Equal("no", Assert.Single(stream.Headers.GetValues("X-Accel-Buffering")));
        var read = stream.Content.ReadAsStringAsync();
        await Deadline.UntilAsync(() =>
        {
            time.Advance(TimeSpan.FromSeconds(1));
            return Task.FromResult(read.IsCompleted);
        }, "the end of the stream");
        Assert.StartsWith("retry: ", await read, StringComparison.Ordinal);

        await Deadline.UntilAsync(async () => !await new HttpUser(server.Http, null, jwt.Token("alice")).SeesOnlineAsync("bob"),
            "bob being offline");
        Assert.DoesNotContain(server.Log.Entries, entry => entry.ToString().Contains(token, StringComparison.Ordinal));
        Assert.Empty(server.Log.Faults);
    }

    [Fact]
    public async Task A_long_poll_ends_with_its_token_and_is_answered_200_with_what_there_is()
    {
        var jwt = new Jwt();
        await using var server = await new ChatServer { Environment = "Production" }.With(jwt.Settings).StartAsync();
        var asked = Stopwatch.StartNew();
        var answer = await new HttpUser(server.Http, null, jwt.Token("bob", TimeSpan.FromSeconds(5))).GetAsync("/inbox?wait=60");
        Assert.Equal((200, """{"messages":[]}"""), (answer.Status, answer.Body));
        Assert.InRange(asked.Elapsed.TotalSeconds, 0, 20); // 5, and what the machine takes
    }

    [Theory]
    [InlineData(null)]
    [InlineData("0")]
    public async Task A_stream_shows_nothing_of_others(string? lastEventId)
    {
        await using var server = await ChatServer.StartNewAsync();
        var (alice, bob) = (new HttpUser(server.Http, "alice"), new HttpUser(server.Http, "bob"));
        await alice.SendAsync("bob", "before");
        await bob.SendAsync("alice", "before");

        using var request = new HttpRequestMessage(HttpMethod.Get, "/inbox/stream?user=mallory");
        if (lastEventId is not null)
            request.Headers.Add("Last-Event-ID", lastEventId);
        using var stream = await server.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead).OrFail("the headers");
        await alice.SendAsync("bob", "live");
        await bob.SendAsync("alice", "live");
        await alice.SendAsync("mallory", "for mallory");

        var events = SseParser.Create(await stream.Content.ReadAsStreamAsync()).EnumerateAsync().GetAsyncEnumerator();
        Assert.True(await events.MoveNextAsync().AsTask().OrFail("the first event"));
        Assert.Equal("for mallory", Frame.Parse(events.Current.Data).Body);
    }
}
