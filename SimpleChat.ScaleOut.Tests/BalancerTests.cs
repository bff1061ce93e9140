using System.Diagnostics;
using Microsoft.Playwright;
using StackExchange.Redis;
using static Microsoft.Playwright.Assertions;

namespace SimpleChat.Tests;

/// <summary>Two nodes behind HAProxy, and the page in front of it, through all that happens to a cluster in a day.</summary>
public sealed class BalancerTests(Browser browser) : IClassFixture<Browser>, IAsyncLifetime
{
    /// <summary>Whatever happens to a node, a client is back within this.</summary>
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(10);

    public Task InitializeAsync() => Task.CompletedTask;

    public Task DisposeAsync() => browser.CloseAsync();

    [BalancerFact]
    public async Task A_conversation_goes_on_while_a_node_is_killed_the_balancer_reloaded_and_the_other_node_drained()
    {
        var (postgres, redis) = (Engines.Shared.NewDatabase(), Engines.Shared.NewRedis());
        int[] ports = [LoopbackPort.Free(), LoopbackPort.Free()];
        await using var nodes = await new ChatProcess(2, node =>
        [
            $"--ConnectionStrings:Postgres={postgres}", $"--ConnectionStrings:Redis={redis}",
            $"--urls=http://127.0.0.1:{ports[node]}", "--ForwardedHeaders:KnownProxies:0=127.0.0.1",
        ]).StartAsync();
        await using var balancer = await Balancer.StartAsync(nodes.UrlOf(0), nodes.UrlOf(1));
        await using var map = await ConnectionMultiplexer.ConnectAsync(redis);
        var alice = await Chatter.OpenAsync(browser, balancer.Url, "alice", "bob");
        var bob = await Chatter.OpenAsync(browser, balancer.Url, "bob", "alice");
        Assert.NotEqual(await NodeOfAsync("alice"), await NodeOfAsync("bob"));
        var said = new List<string>();
        await TalkAsync(connections: 2);

        nodes.Kill(0); // one of the two was there
        await TalkAsync(connections: 3);

        await nodes.StartNodeAsync(0);
        var other = await NodeOfAsync("alice");
        await Deadline.UntilAsync(async () =>
        {
            await using var carol = await ChatClient.ConnectAsync(balancer.Url, "carol");
            return await NodeOfAsync("carol") != other;
        }, "a newcomer on the node that is back");

        await balancer.ReloadAsync();
        await TalkAsync(connections: 3);

        var idle = await Task.WhenAll(Enumerable.Range(0, 10).Select(i => ChatClient.ConnectAsync(nodes.UrlOf(1), $"idle{i}")));
        var started = Stopwatch.GetTimestamp();
        await nodes.SignalAsync(1, "TERM");
        var goodbyes = Task.WhenAll(idle.Select(async client =>
        {
            var (code, _) = await client.ReceiveUntilCloseAsync();
            await client.AnswerCloseAsync();
            return (Code: code, After: Stopwatch.GetElapsedTime(started));
        }));
        await Deadline.UntilAsync(async () => await StatusAsync("alive") == 503, "503 at /alive");
        (await RawHttp.AskAsync(nodes.UrlOf(1), new Handshake())).AssertProblem(503);
        await TalkAsync(connections: 5);
        await nodes.DeathOf(1);
        Assert.InRange(Stopwatch.GetElapsedTime(started), TimeSpan.FromSeconds(2), Soon);
        Assert.All(await goodbyes, goodbye => Assert.Equal(1001, goodbye.Code));
        var times = (await goodbyes).Select(goodbye => goodbye.After).Order().ToList();
        Assert.True(times[^1] - times[0] > TimeSpan.FromSeconds(1), $"Spread over time: {string.Join(' ', times)}.");
        foreach (var client in idle)
            await client.DisposeAsync();

        // Layer 4 is a way in, too.
        await using var dave = await ChatClient.ConnectAsync(balancer.Layer4, "dave");
        await dave.SendAndConfirmAsync("erin", "hi");

        // Each says something at once, whatever has just happened. Both see all of it, in one order, once.
        async Task TalkAsync(int connections)
        {
            var round = said.Count;
            var begun = Stopwatch.GetTimestamp();
            await Task.WhenAll(alice.SayAsync($"alice {round}"), bob.SayAsync($"bob {round}"));
            said.AddRange([$"alice {round}", $"bob {round}"]);
            await Task.WhenAll(alice.HasAsync(said.Count), bob.HasAsync(said.Count));
            Assert.InRange(Stopwatch.GetElapsedTime(begun), TimeSpan.Zero, Soon);
            await Deadline.UntilAsync(
                () => Task.FromResult(alice.Connections + bob.Connections == connections), $"{connections} connections in all");
            var seen = await alice.SeesAsync();
            Assert.Equal(seen, await bob.SeesAsync());
            Assert.Equal(said.Order(), seen.Order());
        }

        async Task<string> NodeOfAsync(string user) =>
            string.Join(' ', (await map.GetDatabase().HashKeysAsync($"chat:user:{user}")).Select(node => node.ToString()));

        async Task<int> StatusAsync(string path)
        {
            using var http = new HttpClient();
            using var answer = await http.GetAsync(new Uri(nodes.UrlOf(1), path));
            return (int)answer.StatusCode;
        }
    }

    /// <summary>Somebody at the page.</summary>
    private sealed class Chatter
    {
        private readonly IPage _page;
        private int _connections;

        private Chatter(IPage page) => _page = page;

        /// <summary>How often the page has connected by WebSocket.</summary>
        public int Connections => Volatile.Read(ref _connections);

        public static async Task<Chatter> OpenAsync(Browser browser, Uri server, string user, string with)
        {
            var context = await browser.NewContextAsync(ColorScheme.Light, 1280, 800);
            var chatter = new Chatter(await context.NewPageAsync());
            chatter._page.WebSocket += (_, socket) => socket.FrameReceived += (_, frame) =>
            {
                if (frame.Text?.Contains("\"connected\"", StringComparison.Ordinal) == true)
                    Interlocked.Increment(ref chatter._connections);
            };
            await chatter._page.GotoAsync(Browser.Address(server, user, with));
            await Expect(chatter._page.Locator("#status")).ToHaveTextAsync("Connected by WebSocket.");
            return chatter;
        }

        public async Task SayAsync(string text)
        {
            await _page.Locator("#text").FillAsync(text);
            await _page.Locator("#text").PressAsync("Enter");
        }

        /// <summary>Waits until so many messages are there, none of them still to be sent.</summary>
        public async Task HasAsync(int count)
        {
            await Expect(_page.Locator(".message .body")).ToHaveCountAsync(count);
            await Expect(_page.Locator(".message.waiting")).ToHaveCountAsync(0);
        }

        /// <summary>All messages, from top to bottom.</summary>
        public async Task<IReadOnlyList<string>> SeesAsync() => await _page.Locator(".message .body").AllInnerTextsAsync();
    }
}
