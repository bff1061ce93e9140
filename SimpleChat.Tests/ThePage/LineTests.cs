using System.Text.RegularExpressions;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace SimpleChat.Tests.ThePage;

/// <summary>The line between page and server, when it is not as it should be.</summary>
[Collection(PageTests.Name)]
public sealed class LineTests(PageFixture fixture) : IAsyncLifetime
{
    private readonly string _alice = PageFixture.Name("alice"), _bob = PageFixture.Name("bob");

    public Task InitializeAsync() => Task.CompletedTask;

    public Task DisposeAsync() => fixture.CloseAsync();

    [BrowserFact]
    public async Task An_ack_that_is_refused_is_sent_again()
    {
        var refused = 0;
        var context = await fixture.ContextAsync();
        await context.RouteWebSocketAsync("**/chat?**", page =>
        {
            var line = page.ConnectToServer();
            page.OnMessage(frame =>
            {
                if (frame.Text?.Contains("\"ack\"", StringComparison.Ordinal) == true && Interlocked.Increment(ref refused) == 1)
                    page.Send("""{"type":"error","code":"storage_unavailable","message":"Not known to be stored."}""");
                else
                    line.Send(frame.Text!);
            });
        });
        await fixture.OpenAsync(context, _alice, _bob);
        await using var bob = await ChatClient.ConnectAsync(fixture.Url, _bob);
        for (var i = 0; i < 20 && Volatile.Read(ref refused) == 0; i++) // the first may still be acknowledged over HTTP
        {
            var sent = await bob.SendAndConfirmAsync(_alice, "hi");
            Assert.Equal(sent.Id, (await bob.FindAsync("delivered")).Id);
        }

        Assert.NotEqual(0, refused);
    }

    [BrowserFact]
    public async Task A_tab_that_nobody_sees_does_not_poll()
    {
        var (handshakes, isBlocked) = (0, true);
        var context = await fixture.ContextAsync();
        await context.AddInitScriptAsync(
            "Object.defineProperty(document, 'hidden', { get: () => window.isSeen !== true }); Math.random = () => .3");
        await context.RouteWebSocketAsync("**/chat?**", socket =>
        {
            Interlocked.Increment(ref handshakes);
            if (Volatile.Read(ref isBlocked))
                _ = socket.CloseAsync(new() { Code = 1001 });
            else
                socket.ConnectToServer();
        });
        var page = await context.NewPageAsync();
        var polls = 0;
        page.Request += (_, request) =>
        {
            if (request.Url.Contains("wait=", StringComparison.Ordinal))
                Interlocked.Increment(ref polls);
        };
        await page.GotoAsync(Browser.Address(fixture.Url, _alice, _bob));
        await Deadline.UntilAsync(() => Task.FromResult(Volatile.Read(ref handshakes) >= 3), "three handshakes");
        Assert.Equal(0, Volatile.Read(ref polls));
        await page.EvaluateAsync("window.isSeen = true; document.dispatchEvent(new Event('visibilitychange'))");
        await Expect(page.Locator("#status")).ToContainTextAsync("No WebSocket: long polling meanwhile.");
        Volatile.Write(ref isBlocked, false);
        await page.Locator("#retry").DispatchEventAsync("click");
        await Expect(page.Locator("#status")).ToHaveTextAsync("Connected by WebSocket.");
    }

    [BrowserFact]
    public async Task A_tab_that_is_offline_asks_for_nothing_and_is_there_again_when_the_network_is()
    {
        await using var network = new Network(fixture.Url);
        var context = await fixture.ContextAsync();
        await context.AddInitScriptAsync(
            """
            Object.defineProperty(navigator, "onLine", { get: () => window.isOffline !== true });
            Math.random = () => .01;
            window.handshakes = 0;
            window.WebSocket = class extends WebSocket { constructor(...all) { super(...all); handshakes++; } };
            """);
        var page = await fixture.OpenAsync(context, _alice, _bob, network.Url);
        var polls = 0;
        page.Request += (_, request) =>
        {
            if (request.Url.Contains("wait=", StringComparison.Ordinal))
                Interlocked.Increment(ref polls);
        };
        await page.EvaluateAsync("window.isOffline = true; dispatchEvent(new Event('offline'))");
        network.Cut();
        await Deadline.UntilAsync(() => page.EvaluateAsync<bool>("handshakes >= 4"), "three handshakes more");
        Assert.Equal(0, Volatile.Read(ref polls));
        network.Mend();
        await page.EvaluateAsync("window.isOffline = false; dispatchEvent(new Event('online'))");
        await Expect(page.Locator("#status")).ToHaveTextAsync("Connected by WebSocket.");
    }

    [BrowserFact]
    public async Task A_tab_that_the_browser_froze_asks_for_nothing_and_catches_up_when_it_wakes()
    {
        await using var network = new Network(fixture.Url);
        await using var page = await fixture.Browser.OpenQuietlyAsync(network.Url, _alice, _bob);
        await page.UntilAsync("document.getElementById('older').textContent.startsWith('No message yet')");
        await page.EvaluateAsync<bool>(
            """
            window.handshakes = [];
            window.WebSocket = class extends WebSocket {
              constructor(...all) {
                super(...all);
                handshakes.push({ startTime: performance.now() });
              }
            };
            document.addEventListener("freeze", () => window.frozenAt = performance.now());
            document.addEventListener("resume", () => window.wokenAt = performance.now());
            true
            """);
        await page.FreezeAsync(isFrozen: true);
        network.Cut();
        network.Mend();
        await fixture.User(_bob).SendAsync(_alice, "in its sleep");
        await fixture.OpenAsync(PageFixture.Name("carol")); // takes longer than the tab would have waited
        await page.FreezeAsync(isFrozen: false);
        await page.UntilAsync("document.querySelector('.message .body')?.textContent === 'in its sleep'");
        await page.UntilAsync("document.getElementById('status').textContent.includes('Connected by WebSocket.')");
        await fixture.DeliveredAsync(_alice);
        Assert.Equal(0, await page.EvaluateAsync<int>(
            """
            [...handshakes, ...performance.getEntriesByType("resource")]
              .filter(({ startTime }) => startTime > frozenAt && startTime < wokenAt).length
            """));
    }

    [BrowserFact]
    public async Task A_page_of_which_a_module_did_not_load_says_so_and_loads_again()
    {
        var context = await fixture.ContextAsync();
        var loads = 0;
        await context.RouteAsync("**/state/names.js", route =>
            Interlocked.Increment(ref loads) == 1 ? route.AbortAsync("aborted") : route.ContinueAsync());
        var seen = new TaskCompletionSource();
        await context.RouteAsync(url => new Uri(url).AbsolutePath == "/", async route =>
        {
            if (route.Request.ResourceType == "fetch") // it asks for itself before it loads again
                await seen.Task;
            await route.ContinueAsync();
        });
        var page = await context.NewPageAsync();
        await page.GotoAsync(Browser.Address(fixture.Url, _alice));
        await Expect(page.Locator("#not-whole")).ToBeVisibleAsync();
        seen.SetResult();
        await Expect(page.Locator("#status")).ToHaveTextAsync("Connected by WebSocket.");
        await Expect(page.Locator("#not-whole")).ToBeHiddenAsync();
    }

    [BrowserFact]
    public async Task What_comes_while_history_is_asked_for_is_shown_whole()
    {
        TaskCompletionSource asked = new(), mayLoad = new();
        var context = await fixture.ContextAsync();
        await context.RouteAsync("**/messages?*limit=130*", async route => // asked before the messages, answered after them
        {
            var empty = await route.FetchAsync();
            asked.TrySetResult();
            await mayLoad.Task;
            await route.FulfillAsync(new() { Response = empty });
        });
        var page = await fixture.OpenAsync(context, _alice, _bob);
        await asked.Task.OrFail("a request for the newest page");
        foreach (var text in (string[])["one", "two", "three"])
            await fixture.User(_bob).SendAsync(_alice, text);
        await fixture.DeliveredAsync(_alice); // all three came
        mayLoad.SetResult();
        await Expect(page.Locator(".message .body")).ToHaveTextAsync(["one", "two", "three"]);
    }

    [BrowserTheory]
    [InlineData(true)]
    [InlineData(false)] // it came to no line, because none was up
    public async Task A_receipt_of_which_an_answer_on_its_way_knows_nothing_is_shown(bool isPushed)
    {
        TaskCompletionSource asked = new(), heard = new(), mayLoad = new();
        var context = await fixture.ContextAsync();
        await context.RouteAsync("**/messages?*limit=130*", async route => // asked before the receipt, answered after it
        {
            var undelivered = await route.FetchAsync();
            asked.TrySetResult();
            await mayLoad.Task;
            await route.FulfillAsync(new() { Response = undelivered });
        });
        if (isPushed)
            await context.RouteAsync("**/messages?*limit=200*", route => route.AbortAsync()); // which looks for those that were missed
        var looks = 0;
        await context.RouteAsync("**/inbox?*", async route =>
        {
            await route.FulfillAsync(new() { Response = await route.FetchAsync() });
            Interlocked.Increment(ref looks);
        });
        await context.RouteWebSocketAsync("**/chat?**", page => page.ConnectToServer().OnMessage(frame =>
        {
            var isReceipt = frame.Text!.Contains("\"delivered\"", StringComparison.Ordinal);
            if (isPushed || !isReceipt)
                page.Send(frame.Text);
            if (isReceipt)
                heard.TrySetResult();
        }));
        await fixture.User(_alice).SendAsync(_bob, "hi");
        var page = await fixture.OpenAsync(context, _alice, _bob);
        await asked.Task.OrFail("a request for the newest page");
        await Expect(page.Locator("#status")).ToHaveTextAsync("Connected by WebSocket.");
        await fixture.User(_bob).AckAsync([.. (await fixture.User(_bob).InboxAsync()).Select(message => message.Id)]);
        await heard.Task.OrFail("the receipt");
        await Deadline.UntilAsync(() => Task.FromResult(Volatile.Read(ref looks) >= 2), "the line's look for what was missed");
        mayLoad.SetResult();
        await Expect(page.Locator(".message .meta button")).ToHaveTextAsync("✓✓");
    }

    [BrowserFact]
    public async Task A_receipt_that_came_to_no_line_is_shown_though_one_opens_another_conversation_before_it_is_looked_for()
    {
        TaskCompletionSource mayLook = new();
        IWebSocketRoute? line = null;
        var context = await fixture.ContextAsync();
        await context.RouteWebSocketAsync("**/chat?**", page =>
        {
            line = page;
            page.ConnectToServer().OnMessage(frame =>
            {
                if (!frame.Text!.Contains("\"delivered\"", StringComparison.Ordinal))
                    page.Send(frame.Text);
            });
        });
        await fixture.User(_alice).SendAsync(_bob, "hi");
        var page = await fixture.OpenAsync(context, _alice, _bob);
        await Expect(page.Locator(".message .meta button")).ToHaveTextAsync("✓");
        await context.RouteAsync("**/inbox?*", async route =>
        {
            await mayLook.Task;
            await route.ContinueAsync();
        });
        await line!.CloseAsync(new() { Code = 1001 });
        await fixture.User(_bob).AckAsync([.. (await fixture.User(_bob).InboxAsync()).Select(message => message.Id)]);
        await page.RunAndWaitForRequestAsync(() => page.Locator("#retry").DispatchEventAsync("click"), new Regex("/inbox"));
        await Expect(page.Locator("#status")).ToHaveTextAsync("Connected by WebSocket.");
        var carol = PageFixture.Name("carol");
        await fixture.User(carol).SendAsync(_alice, "look here");
        await page.Locator($"[data-other={carol}]").ClickAsync();
        mayLook.SetResult();
        await fixture.DeliveredAsync(_alice);
        await page.Locator($"[data-other={_bob}]").ClickAsync();
        await Expect(page.Locator(".message .meta button")).ToHaveTextAsync("✓✓");
    }

    [BrowserFact]
    public async Task While_there_is_no_WebSocket_what_another_page_has_sent_or_taken_is_shown_too()
    {
        var context = await fixture.ContextAsync();
        await context.RouteWebSocketAsync("**/chat?**", socket => _ = socket.CloseAsync(new() { Code = 1001 }));
        var page = await context.NewPageAsync();
        await page.GotoAsync(Browser.Address(fixture.Url, _alice, _bob));
        await Expect(page.Locator("#status")).ToContainTextAsync("No WebSocket: long polling meanwhile.");
        await fixture.User(_alice).SendAsync(_bob, "from the phone");
        await fixture.User(_bob).SendAsync(_alice, "by poll");
        await Expect(page.Locator(".message .body")).ToHaveTextAsync(["from the phone", "by poll"]);
    }

    [BrowserFact]
    public async Task The_first_messages_of_a_new_user_are_all_there_whichever_page_of_the_user_took_them()
    {
        await using var network = new Network(fixture.Url);
        var context = await fixture.ContextAsync();
        var page = await fixture.OpenAsync(context, _alice, _bob, network.Url);
        await Expect(page.Locator("#older")).ToContainTextAsync("No message yet.");
        network.Cut();
        foreach (var text in (string[])["one", "two", "three"])
            await fixture.User(_alice).SendAsync(_bob, text);
        network.Mend();
        await Expect(page.Locator(".message .body")).ToHaveTextAsync(["one", "two", "three"]);
    }

    [BrowserFact]
    public async Task An_answer_that_the_network_has_swallowed_is_asked_for_again()
    {
        var asked = 0;
        var context = await fixture.ContextAsync();
        await context.AddInitScriptAsync(
            "const timeout = AbortSignal.timeout.bind(AbortSignal); AbortSignal.timeout = milliseconds => timeout(milliseconds / 100)");
        await context.RouteAsync("**/messages?*", async route =>
        {
            if (Interlocked.Increment(ref asked) > 1)
                await route.ContinueAsync();
        });
        await fixture.User(_bob).SendAsync(_alice, "hi");
        var page = await fixture.OpenAsync(context, _alice, _bob);
        await Expect(page.Locator(".message .body")).ToHaveTextAsync("hi");
        Assert.True(Volatile.Read(ref asked) > 1, "The first answer came.");
    }

    [BrowserFact]
    public async Task What_comes_in_masses_while_history_is_asked_for_leaves_no_gap()
    {
        var page = await fixture.OpenAsync(_alice);
        Assert.Equal("1 to 500: 500", await page.EvaluateAsync<string>(
            """
            async () => {
              const { Conversation } = await import("./state/conversation.js");
              const conversation = new Conversation("bob");
              const message = id => ({ id, from: "bob", to: "alice", text: "hi" });
              const stretch = (first, last) => Array.from({ length: last - first + 1 }, (_, at) => message(first + at));
              conversation.isLoading = true; // asked for when there were 50
              stretch(51, 500).forEach(one => conversation.add(one));
              conversation.trim(true);
              conversation.replaceWith(stretch(1, 50), { hasOlder: false, isEnd: true });
              return `${conversation.messages[0].id} to ${conversation.messages.at(-1).id}: ${conversation.messages.length}`;
            }
            """));
    }

    [BrowserFact]
    public async Task A_page_of_history_that_is_not_the_last_is_not_taken_for_the_end()
    {
        var page = await fixture.OpenAsync(_alice);
        Assert.Equal("1, 2", await page.EvaluateAsync<string>(
            """
            async () => {
              const { Conversation } = await import("./state/conversation.js");
              const conversation = new Conversation("bob"); // the list has not named its last message
              const message = id => ({ id, from: "bob", to: "alice", text: "hi" });
              conversation.replaceWith([message(1), message(2)], { hasOlder: false, isEnd: false });
              conversation.add(message(9)); // with a gap before it
              return conversation.reachesEnd ? "the end" : conversation.messages.map(({ id }) => id).join(", ");
            }
            """));
    }

    [BrowserFact]
    public async Task While_the_identity_provider_is_away_the_token_is_kept()
    {
        var jwt = new Jwt();
        await using var server = await new ChatServer { Environment = "Production" }.With(jwt.Settings).StartAsync();
        var context = await fixture.ContextAsync();
        var isAway = false;
        await context.RouteWebSocketAsync("**/chat?**", socket =>
        {
            if (Volatile.Read(ref isAway))
                _ = socket.CloseAsync(new() { Code = 1001 });
            else
                socket.ConnectToServer();
        });
        var away = new RouteFulfillOptions
        {
            Status = 503,
            ContentType = "application/problem+json",
            Body = """{"title":"Service Unavailable","detail":"The identity provider is away. Try again."}""",
        };
        foreach (var path in (string[])["inbox", "conversations", "messages", "users"])
        {
            await context.RouteAsync(
                $"{server.Url}{path}**", route => Volatile.Read(ref isAway) ? route.FulfillAsync(away) : route.ContinueAsync());
        }

        var page = await context.NewPageAsync();
        await page.GotoAsync(server.Url.AbsoluteUri);
        await page.GetByLabel("Your token").FillAsync(jwt.Token(_alice));
        await page.GetByRole(AriaRole.Button, new() { Name = "Sign in" }).ClickAsync();
        await Expect(page.Locator("#status")).ToHaveTextAsync("Connected by WebSocket.");
        Volatile.Write(ref isAway, true);
        await page.ReloadAsync();
        await Expect(page.Locator("#status")).ToContainTextAsync("The identity provider is away.");
        await Expect(page.Locator("#me")).ToHaveTextAsync(_alice);
        Volatile.Write(ref isAway, false);
        await page.Locator("#retry").DispatchEventAsync("click");
        await Expect(page.Locator("#status")).ToHaveTextAsync("Connected by WebSocket.");
    }
}
