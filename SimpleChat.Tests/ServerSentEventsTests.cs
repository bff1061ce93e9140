using System.Diagnostics;
using System.Net.ServerSentEvents;
using System.Text;

namespace SimpleChat.Tests;

/// <summary>The inbox as a stream: <c>GET /inbox/stream</c>.</summary>
public sealed class ServerSentEventsTests
{
    [Fact]
    public async Task Undelivered_messages_come_first_then_live_ones_and_nothing_is_marked_delivered()
    {
        await using var server = await ChatServer.StartNewAsync();
        var (alice, bob) = (new HttpUser(server.Http, "alice"), new HttpUser(server.Http, "bob"));
        var first = (await alice.SendAsync("bob", "one")).Json;

        await using var stream = await EventSource.OpenAsync(server, "bob");
        Assert.Equal(first.ToString(), (await stream.NextAsync()).ToString());
        await alice.SendAsync("bob", "two");
        Assert.Equal("two", (await stream.NextAsync()).Body);

        Assert.Equal(["one", "two"], (await bob.InboxAsync()).Select(message => message.Body));
        Assert.True(await alice.SeesOnlineAsync("bob"));
    }

    [Fact]
    public async Task I2_Acknowledging_over_HTTP_is_what_delivers()
    {
        await using var server = await ChatServer.StartNewAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        await using var stream = await EventSource.OpenAsync(server, "bob");
        var id = (await alice.SendAndConfirmAsync("bob", "hi")).Id;
        Assert.Equal(id, (await stream.NextAsync()).Id);

        await new HttpUser(server.Http, "bob").AckAsync(id);
        Assert.Equal(id, (await alice.FindAsync("delivered")).Id);
    }

    [Theory]
    [InlineData("short")]
    [InlineData("long")]
    public async Task I3_Last_Event_ID_resumes_with_everything_after_it_sent_or_received_delivered_or_not(string position)
    {
        await using var server = await ChatServer.StartNewAsync();
        var (alice, bob) = (new HttpUser(server.Http, "alice"), new HttpUser(server.Http, "bob"));
        var first = (await alice.SendAsync("bob", "one")).Json;
        var second = (await alice.SendAsync("bob", "two")).Json;
        await bob.SendAsync("alice", "three");
        await bob.AckAsync(first.Id, second.Id);

        await using var stream =
            await EventSource.OpenAsync(server, "bob", lastEventId: position == "short" ? $"{first.Id}" : first.Position);
        Assert.Equal("two", (await stream.NextAsync()).Body);
        Assert.Equal("three", (await stream.NextAsync()).Body);
        await alice.SendAsync("bob", "four");
        Assert.Equal("four", (await stream.NextAsync()).Body);
    }

    [Fact]
    public async Task An_empty_position_is_none()
    {
        await using var server = await ChatServer.StartNewAsync();
        await new HttpUser(server.Http, "alice").SendAsync("bob", "hi");
        await using var stream = await EventSource.OpenAsync(server, "bob", lastEventId: "");
        Assert.Equal("hi", (await stream.NextAsync()).Body);
    }

    [Fact]
    public async Task A_silent_stream_beats_as_a_comment_and_tells_how_soon_to_come_back()
    {
        await using var server = await new ChatServer { ["Chat:KeepAliveInterval"] = "00:00:00.1" }.StartAsync();
        var address = new Uri("/inbox/stream?user=bob", UriKind.Relative);
        using var response = await server.Http.GetAsync(address, HttpCompletionOption.ResponseHeadersRead).OrFail("the headers");
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType?.MediaType);
        using var lines = new StreamReader(await response.Content.ReadAsStreamAsync());
        Assert.StartsWith("retry: ", await lines.ReadLineAsync().OrFail("the retry line"));
        Assert.Equal("", await lines.ReadLineAsync().OrFail("its end"));
        Assert.StartsWith(":", await lines.ReadLineAsync().OrFail("a heartbeat"));
    }

    [Fact]
    public async Task When_the_client_leaves_or_the_server_stops_the_stream_is_over()
    {
        await using var server = await ChatServer.StartNewAsync();
        var alice = new HttpUser(server.Http, "alice");
        var left = await EventSource.OpenAsync(server, "bob");
        await left.DisposeAsync();
        await Deadline.UntilAsync(async () => !await alice.SeesOnlineAsync("bob"), "bob being offline");

        await using var stayed = await EventSource.OpenAsync(server, "bob");
        var stopping = server.StopAsync();
        Assert.False(await stayed.HasMoreAsync());
        await stopping.OrFail("the server's end");
    }

    [Fact]
    public async Task I4_A_stream_that_nobody_takes_ends_after_the_send_time_out_and_its_messages_stay()
    {
        const int Count = 40;
        await using var server =
            await new ChatServer { ["Chat:MessagesPerSecond"] = "0", ["Chat:SendTimeout"] = "00:00:00.5" }.StartAsync();
        var alice = new HttpUser(server.Http, "alice");
        using var stalled = await RawHttp.ConnectAsync(server.Url, receiveBuffer: 4096);
        await stalled.Stream.WriteAsync(
            Encoding.ASCII.GetBytes($"GET /inbox/stream?user=bob HTTP/1.1\r\nHost: {server.Url.Authority}\r\n\r\n"));
        await Deadline.UntilAsync(() => alice.SeesOnlineAsync("bob"), "the stream");
        var text = new string('x', 60_000); // 2.4 MB in all: more than the kernel holds for it
        for (var i = 0; i < Count; i++)
            Assert.Equal(201, (await alice.SendAsync("bob", text)).Status);

        var stuck = Stopwatch.StartNew();
        await Deadline.UntilAsync(async () => !await alice.SeesOnlineAsync("bob"), "bob being offline");
        Assert.InRange(stuck.Elapsed.TotalSeconds, 0, 5); // 0.5, and what the machine takes
        Assert.Equal(Count, await server.CountAsync("SELECT count(*) FROM InboxDB WHERE Recipient = 'bob'"));
        Assert.Empty(server.Log.Faults);
    }

    /// <summary>What a browser's EventSource does, with the framework's own parser.</summary>
    private sealed class EventSource : IAsyncDisposable
    {
        private readonly HttpResponseMessage _response;
        private readonly IAsyncEnumerator<SseItem<string>> _events;

        private EventSource(HttpResponseMessage response, Stream stream) =>
            (_response, _events) = (response, SseParser.Create(stream).EnumerateAsync().GetAsyncEnumerator());

        public static async Task<EventSource> OpenAsync(ChatServer server, string user, string? lastEventId = null)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, $"/inbox/stream?user={user}");
            if (lastEventId is not null)
                request.Headers.Add("Last-Event-ID", lastEventId);
            var response = await server.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead).OrFail("the headers");
            Assert.Equal(200, (int)response.StatusCode);
            return new EventSource(response, await response.Content.ReadAsStreamAsync());
        }

        public async Task<Frame> NextAsync()
        {
            Assert.True(await HasMoreAsync());
            Assert.Equal("message", _events.Current.EventType);
            var message = Frame.Parse(_events.Current.Data);
            Assert.Equal(message.Position, _events.Current.EventId);
            Assert.Equal("from id sentAt text to", message.Properties);
            return message;
        }

        public Task<bool> HasMoreAsync() => _events.MoveNextAsync().AsTask().OrFail("an event, or the end");

        public ValueTask DisposeAsync()
        {
            _response.Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
