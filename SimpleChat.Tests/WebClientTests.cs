using System.Collections.Concurrent;
using System.Globalization;
using Microsoft.Playwright;
using SimpleChat.Tests.ThePage;
using static Microsoft.Playwright.Assertions;

namespace SimpleChat.Tests;

/// <summary>The page at <c>/</c>, in a real browser; what needs a server of its own. All else is in the folder ThePage.</summary>
[Collection(PageTests.Name)]
public sealed class WebClientTests(PageFixture fixture) : IAsyncLifetime
{
    private readonly Browser _browser = fixture.Browser;

    private readonly string _alice = PageFixture.Name("alice"), _bob = PageFixture.Name("bob"), _carol = PageFixture.Name("carol");

    private const string Open = "Connected by WebSocket.";

    /// <summary>The page tries again by itself, after a random part of an ever longer time: let it be a small part.</summary>
    private const string Soon = "Math.random = () => .02";

    public Task InitializeAsync() => Task.CompletedTask;

    public Task DisposeAsync() => _browser.CloseAsync();

    [BrowserFact]
    public async Task Two_people_chat_both_ways_and_see_ticks_presence_and_what_is_unread()
    {
        var alice = await _browser.OpenAsync(fixture.Url, _alice);
        await Expect(alice.GetByRole(AriaRole.Heading, new() { Name = "Nothing here yet" })).ToBeVisibleAsync();
        await alice.GetByLabel("Write to").FillAsync(_bob);
        await alice.GetByRole(AriaRole.Button, new() { Name = "Open", Exact = true }).ClickAsync();
        await Expect(alice.Locator("#presence")).ToHaveTextAsync("away");
        await SendAsync(alice, "Hello bob");
        await Expect(Tick(alice, "Hello bob")).ToHaveTextAsync("✓");

        var bob = await _browser.OpenAsync(fixture.Url, _bob);
        await Expect(bob.Locator(".conversation")).ToContainTextAsync("1 unread");
        await Expect(Tick(alice, "Hello bob")).ToHaveTextAsync("✓✓");
        await bob.GetByRole(AriaRole.Button, new() { Name = _alice }).ClickAsync();
        await Expect(bob.Locator(".conversation")).Not.ToContainTextAsync("unread");
        await SendAsync(bob, "Hello alice\nhow are you?");

        await Expect(alice.Locator(".message .body").Last).ToHaveTextAsync("Hello alice\nhow are you?");
        await Expect(alice.Locator("#presence")).ToHaveTextAsync("online");
        await Expect(alice.Locator("#announce")).ToContainTextAsync($"{_bob}: Hello alice");
    }

    [BrowserFact]
    public async Task The_server_is_killed_in_mid_conversation_and_what_was_typed_meanwhile_arrives_once_and_in_order()
    {
        using var folder = new TempFolder();
        await using var first =
            await new ChatProcess { DatabasePath = folder.DatabasePath, ["urls"] = LoopbackPort.FreeUrl() }.StartAsync();
        var alice = await _browser.OpenAsync(first.Url, "alice", "bob");
        var bob = await _browser.OpenAsync(first.Url, "bob", "alice");
        await Task.WhenAll(alice.EvaluateAsync(Soon), bob.EvaluateAsync(Soon));
        await SendAsync(alice, "before");
        await Expect(Tick(alice, "before")).ToHaveTextAsync("✓✓");

        first.Kill();
        await first.ExitAsync();
        await Expect(alice.Locator("#status")).ToContainTextAsync("No connection. What you write waits here.");
        string[] typed = ["one", "two", "three"];
        foreach (var text in typed)
            await SendAsync(alice, text);
        await Expect(alice.Locator(".message.waiting")).ToHaveCountAsync(3);

        await using var second =
            await new ChatProcess { DatabasePath = folder.DatabasePath, ["urls"] = first.Url.AbsoluteUri }.StartAsync();
        await Expect(alice.Locator("#status")).ToHaveTextAsync(Open);
        await Expect(bob.Locator("#status")).ToHaveTextAsync(Open);
        await Expect(Tick(alice, "three")).ToHaveTextAsync("✓✓");
        foreach (var page in (IPage[])[alice, bob])
            await Expect(page.Locator(".message .body")).ToHaveTextAsync(["before", .. typed]);
        await SendAsync(bob, "welcome back");
        await Expect(alice.Locator(".message .body").Last).ToHaveTextAsync("welcome back");

        var history = await new HttpUser(second.Http, "alice").GetAsync("/messages?with=bob");
        Assert.Equal(["before", .. typed, "welcome back"], history.Messages.Select(message => message.Body));
    }

    [BrowserFact]
    public async Task While_WebSockets_are_blocked_messages_go_by_long_polling_and_afterwards_by_WebSocket_again()
    {
        var alice = await _browser.OpenAsync(fixture.Url, _alice, _bob);
        await Expect(alice.Locator("#status")).ToHaveTextAsync(Open);
        var isBlocked = true;
        await alice.RouteWebSocketAsync("**/chat?**", socket =>
        {
            if (Volatile.Read(ref isBlocked))
                _ = socket.CloseAsync(new() { Code = 1001 });
            else
                socket.ConnectToServer();
        });
        await alice.ReloadAsync();
        await Expect(alice.Locator("#status")).ToContainTextAsync("No WebSocket: long polling meanwhile.");

        await using var bob = await ChatClient.ConnectAsync(fixture.Url, _bob);
        await SendAsync(alice, "by POST");
        Assert.Equal("by POST", (await bob.FindAsync("message")).Body);
        await bob.SendAsync(_alice, "by poll");
        await Expect(alice.Locator(".message .body")).ToHaveTextAsync(["by POST", "by poll"]);
        await bob.FindAsync("delivered");

        Volatile.Write(ref isBlocked, false);
        await alice.Locator("#retry").DispatchEventAsync("click"); // "Try now", which comes and goes with the page's own tries
        await Expect(alice.Locator("#status")).ToHaveTextAsync(Open);
        await Expect(Tick(alice, "by POST")).ToHaveTextAsync("✓✓");
        await SendAsync(alice, "by WebSocket");
        await Expect(alice.Locator(".message .body")).ToHaveTextAsync(["by POST", "by poll", "by WebSocket"]);
    }

    [BrowserFact]
    public async Task A_reload_keeps_what_was_said_and_what_waits()
    {
        var alice = await _browser.OpenAsync(fixture.Url, _alice, _bob);
        await SendAsync(alice, "said");
        await Expect(Tick(alice, "said")).ToHaveTextAsync("✓");

        await alice.AddInitScriptAsync(Soon);
        var isCut = true;
        await alice.RouteWebSocketAsync("**/chat?**", socket =>
        {
            if (Volatile.Read(ref isCut))
                _ = socket.CloseAsync(new() { Code = 1001 });
            else
                socket.ConnectToServer();
        });
        await alice.RouteAsync("**/inbox?**", route => Volatile.Read(ref isCut) ? route.AbortAsync() : route.ContinueAsync());
        await alice.ReloadAsync();
        await Expect(alice.Locator("#status")).ToContainTextAsync("No connection.");
        await SendAsync(alice, "waits");
        await Expect(alice.Locator(".message.waiting .body")).ToHaveTextAsync("waits");
        await alice.ReloadAsync();
        await Expect(alice.Locator(".message .body")).ToHaveTextAsync(["said", "waits"]);
        await Expect(alice.Locator(".message.waiting")).ToHaveCountAsync(1);

        Volatile.Write(ref isCut, false);
        await Expect(Tick(alice, "waits")).ToHaveTextAsync("✓");
        await alice.ReloadAsync();
        await Expect(alice.Locator(".message .body")).ToHaveTextAsync(["said", "waits"]);
        await Expect(alice.Locator(".message.waiting")).ToHaveCountAsync(0);
    }

    [BrowserFact]
    public async Task Script_in_a_message_stays_text_and_the_page_forbids_any_that_is_not_its_own()
    {
        const string Script = "<img src=x onerror=\"window.harm=1\"><script>window.harm=1</script><b>bold?</b>";
        var page = await fixture.Server.Http.GetAsync("/");
        Assert.Contains("script-src 'self'", Assert.Single(page.Headers.GetValues("Content-Security-Policy")), StringComparison.Ordinal);

        var foreign = new ConcurrentQueue<string>();
        var alice = await _browser.OpenAsync(fixture.Url, _alice, _bob);
        alice.Request += (_, request) =>
        {
            if (!request.Url.StartsWith(fixture.Url.AbsoluteUri, StringComparison.Ordinal))
                foreign.Enqueue(request.Url);
        };
        await alice.ReloadAsync();
        await fixture.User(_bob).SendAsync(_alice, Script);

        await Expect(alice.Locator(".message .body")).ToHaveTextAsync(Script);
        Assert.Equal(0, await alice.Locator("#messages img, #messages script, #messages b").CountAsync());
        await Expect(alice.Locator(".conversation .last")).ToHaveTextAsync(Script);
        Assert.False(await alice.EvaluateAsync<bool>("'harm' in window"));
        Assert.Empty(foreign);
    }

    [BrowserFact]
    public async Task History_loads_page_by_page_as_one_scrolls_up_and_what_is_read_stays_in_its_place()
    {
        var (alice, bob) = (fixture.User(_alice), fixture.User(_bob));
        for (var i = 1; i <= 260; i++)
            await (i % 3 == 0 ? alice : bob)
                .SendAsync(i % 3 == 0 ? _bob : _alice, $"Message {i.ToString(CultureInfo.InvariantCulture)}");

        var page = await _browser.OpenAsync(fixture.Url, _alice, _bob);
        await Expect(page.Locator("#status")).ToHaveTextAsync(Open);
        await Expect(page.Locator(".message").First).ToBeVisibleAsync();
        await page.Locator("#text").PressAsync("Escape"); // it opens at the first unread message: to the newest
        await Expect(page.Locator(".message .body").Last).ToHaveTextAsync("Message 260");
        await Expect(page.Locator(".message .body").Last).ToBeInViewportAsync();
        await Expect(page.Locator(".day")).ToHaveTextAsync("Today");
        Assert.NotEqual("Message 1", await page.Locator(".message .body").First.TextContentAsync());

        var oldest = page.Locator(".message").First;
        var id = await oldest.GetAttributeAsync("data-id");
        await page.EvaluateAsync("document.getElementById('scroll').scrollTop = 0");
        await Expect(oldest).Not.ToHaveAttributeAsync("data-id", id!);
        await Expect(page.Locator($".message[data-id='{id}']")).ToBeInViewportAsync();

        // Only what is near the screen is in the document: so it is collected on the way up.
        var seen = new HashSet<string>();
        await Deadline.UntilAsync(async () =>
        {
            seen.UnionWith(await page.Locator(".message .body").AllTextContentsAsync());
            await page.EvaluateAsync("document.getElementById('scroll').scrollTop -= 600");
            return await page.GetByText("This is where it began.").IsVisibleAsync();
        }, "the beginning of the conversation");
        var beginning = await page.Locator(".message .body").AllTextContentsAsync();
        seen.UnionWith(beginning);
        string Text(int i) => $"Message {i.ToString(CultureInfo.InvariantCulture)}";
        Assert.Equal(Enumerable.Range(1, beginning.Count).Select(Text), beginning);
        Assert.Equal(Enumerable.Range(1, 260).Select(Text).Order(StringComparer.Ordinal), seen.Order(StringComparer.Ordinal));
    }

    [BrowserFact]
    public async Task The_wire_drawer_shows_the_frames_that_really_went_and_the_five_steps_of_a_message()
    {
        var frames = new ConcurrentQueue<string>();
        var alice = await _browser.OpenAsync(fixture.Url);
        alice.WebSocket += (_, socket) =>
        {
            socket.FrameSent += (_, frame) => frames.Enqueue("out " + frame.Text);
            socket.FrameReceived += (_, frame) => frames.Enqueue("in " + frame.Text);
        };
        await alice.GotoAsync(Browser.Address(fixture.Url, _alice, _bob));
        await using var bob = await ChatClient.ConnectAsync(fixture.Url, _bob);
        await SendAsync(alice, "see me go");
        await Expect(Tick(alice, "see me go")).ToHaveTextAsync("✓✓");
        await bob.SendAsync(_alice, "and back");
        await Expect(alice.Locator(".message .body")).ToHaveTextAsync(["see me go", "and back"]);
        await bob.FindAsync("delivered");

        await alice.GetByRole(AriaRole.Button, new() { Name = "On the wire" }).ClickAsync();
        await Expect(alice.Locator(".entry", new() { HasText = "101 Switching Protocols" })).ToHaveCountAsync(1);
        var shown = await alice.EvaluateAsync<string[]>(
            """
            [...document.querySelectorAll('.entry[data-kind=ws]')]
              .map(entry => `${entry.dataset.direction} ${entry.querySelector('pre').textContent}`).filter(text => text.includes('{'))
            """);
        Assert.Equal(frames.Order(StringComparer.Ordinal), shown.Order(StringComparer.Ordinal));
        Assert.Contains(shown,
            text => text.StartsWith($"out {{\"type\":\"send\",\"to\":\"{_bob}\",\"text\":\"see me go\"", StringComparison.Ordinal));

        var steps = alice.Locator("#journey li");
        await Expect(steps).ToHaveCountAsync(5);
        await Expect(alice.Locator("#journey li[data-done=true]")).ToHaveCountAsync(5);
        await Expect(steps.Nth(1).Locator(".took")).ToContainTextAsync("ms");
        await Expect(steps.Nth(4).Locator(".took")).ToContainTextAsync("ms");

        await alice.GetByLabel("Filter").FillAsync("\"type\":\"sent\"");
        await Expect(alice.Locator(".entry")).ToHaveCountAsync(1);
        await alice.GetByLabel("Filter").FillAsync("");
        await alice.GetByRole(AriaRole.Button, new() { Name = "Pause" }).ClickAsync();
        var before = await alice.Locator(".entry").CountAsync();
        await bob.SendAsync(_alice, "while paused");
        await Expect(alice.Locator("#wire-status")).ToContainTextAsync("more since");
        Assert.Equal(before, await alice.Locator(".entry").CountAsync());
    }

    [BrowserFact]
    public async Task Everything_can_be_done_with_the_keyboard_alone()
    {
        var page = await _browser.OpenAsync(fixture.Url);
        await Expect(page.Locator("#name")).ToBeFocusedAsync();
        await page.Keyboard.TypeAsync(_alice);
        await page.Keyboard.PressAsync("Enter");
        await Expect(page.Locator("#status")).ToHaveTextAsync(Open);

        await TabToAsync(page, "other");
        await page.Keyboard.TypeAsync(_bob);
        await page.Keyboard.PressAsync("Enter");
        await Expect(page.Locator("#text")).ToBeFocusedAsync();
        await page.Keyboard.TypeAsync("first line");
        await page.Keyboard.PressAsync("Shift+Enter");
        await page.Keyboard.TypeAsync("second line");
        await page.Keyboard.PressAsync("Enter");
        await Expect(page.Locator(".message .body")).ToHaveTextAsync("first line\nsecond line");
        await Expect(page.Locator(".message .stored")).ToBeVisibleAsync();

        await page.Keyboard.PressAsync("Shift+Tab"); // the tick beside it
        await Expect(page.Locator(".message .stored")).ToBeFocusedAsync();
        await page.Keyboard.PressAsync("Enter");
        await Expect(page.Locator("#wire")).ToBeVisibleAsync();
        await Expect(page.Locator("#journey")).ToContainTextAsync("the server said: away.");
        await Expect(page.Locator("#journey")).ToContainTextAsync("Left in the inbox");
        await page.Keyboard.PressAsync("Escape");
        await Expect(page.Locator("#wire")).ToBeHiddenAsync();
        await Expect(page.Locator("#wire-toggle")).ToBeFocusedAsync();
        await TabToAsync(page, "text");
    }

    [BrowserFact]
    public async Task Four_ways_to_one_inbox_are_measured_side_by_side()
    {
        var page = await _browser.OpenAsync(fixture.Url, _alice);
        await page.GetByRole(AriaRole.Button, new() { Name = "Compare the ways" }).ClickAsync();
        await page.GetByLabel("Short poll every").SelectOptionAsync("1000");
        await Expect(page.Locator("#compare-status")).ToContainTextAsync("All four read the inbox");
        await page.GetByRole(AriaRole.Button, new() { Name = "Send one message" }).ClickAsync();
        await Expect(page.Locator("#compare-status")).ToHaveTextAsync("All four have message 1.");
        await Expect(page.Locator(".way")).ToHaveCountAsync(4);
        await Expect(page.Locator("[data-number=last]", new() { HasTextRegex = new("[0-9] m?s$") })).ToHaveCountAsync(4);
        await Expect(page.Locator("[data-way=WebSocket] [data-number=requests]")).ToHaveTextAsync("1");
        await Expect(page.Locator("[data-way='Server-Sent Events'] [data-number=requests]")).ToHaveTextAsync("1");
        Assert.Empty(await fixture.User($"{_alice}.compare").InboxAsync());

        // A pause of ten seconds begins when a short poll is answered: none comes while the next message is on its way.
        await page.EvaluateAsync(
            """
            () => new Promise(done => {
              const [interval, since] = [document.getElementById("compare-interval"), performance.now()];
              interval.value = 10_000;
              interval.dispatchEvent(new Event("change"));
              const isPoll = ({ name }) => name.includes("/inbox?") && !name.includes("wait=");
              const look = () => performance.getEntriesByType("resource").some(one => isPoll(one) && one.responseEnd > since)
                ? done() : requestAnimationFrame(look);
              look();
            })
            """);
        var slowest = await page.EvaluateAsync<double>(
            """
            () => new Promise(done => {
              document.getElementById("compare-one").click();
              const bar = way => document.querySelector(`[data-way="${way}"] meter`).value;
              const look = () => bar("WebSocket") > 0 ? done(bar("Short polling")) : requestAnimationFrame(look);
              look();
            })
            """);
        Assert.Equal(0, slowest); // its bar of the round before is not left standing
    }

    [BrowserFact]
    public async Task Outside_Development_one_signs_in_with_a_token()
    {
        var jwt = new Jwt();
        await using var server = await new ChatServer { Environment = "Production" }.With(jwt.Settings).StartAsync();
        var page = await _browser.OpenAsync(server.Url, "alice");
        await page.GetByLabel("Your token").FillAsync(jwt.Token("alice"));
        await page.GetByRole(AriaRole.Button, new() { Name = "Sign in" }).ClickAsync();
        await Expect(page.Locator("#status")).ToHaveTextAsync(Open);
        await Expect(page.Locator("#me")).ToHaveTextAsync("alice");
        await page.GetByRole(AriaRole.Button, new() { Name = "On the wire" }).ClickAsync();
        Assert.DoesNotContain(jwt.Token("alice").Split('.')[0], await page.Locator("#wire-entries").TextContentAsync(),
            StringComparison.Ordinal);

        await page.GetByRole(AriaRole.Button, new() { Name = "Compare the ways" }).ClickAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = "Send one message" }).ClickAsync();
        await Expect(page.Locator("#compare-status")).ToHaveTextAsync("All four have message 1.");
    }

    [BrowserFact]
    public async Task A_server_that_comes_back_with_another_database_is_noticed_and_the_page_starts_over()
    {
        using var folder = new TempFolder();
        await using var first =
            await new ChatProcess { DatabasePath = folder.DatabasePath, ["urls"] = LoopbackPort.FreeUrl() }.StartAsync();
        var alice = await _browser.OpenAsync(first.Url, "alice", "bob");
        await using (var bob = await ChatClient.ConnectAsync(first.Url, "bob"))
            await bob.SendAndConfirmAsync("alice", "of the old one");
        await alice.EvaluateAsync(Soon);
        await Expect(alice.Locator(".message .body")).ToHaveTextAsync("of the old one");

        first.Kill();
        await first.ExitAsync();
        await using var second =
            await new ChatProcess { DatabasePath = folder.File("other.db"), ["urls"] = first.Url.AbsoluteUri }.StartAsync();
        await alice.Locator("#retry").DispatchEventAsync("click"); // or it has tried by itself
        await Expect(alice.Locator(".message")).ToHaveCountAsync(0);
        await Expect(alice.Locator("#status")).ToHaveTextAsync(Open);
        await SendAsync(alice, "of the new one");
        await Expect(alice.Locator(".message .stored")).ToBeVisibleAsync();
    }

    [BrowserFact]
    public async Task A_server_that_comes_back_with_a_backup_is_noticed_though_it_gives_the_same_ids_out_again()
    {
        using var folder = new TempFolder();
        var backup = folder.File("backup.db");
        await using var first = await new ChatProcess { DatabasePath = backup }.StartAsync();
        await new HttpUser(first.Http, "bob").SendAsync("alice", "one");
        first.Terminate();
        await first.ExitAsync();
        File.Copy(backup, folder.DatabasePath);

        await using var second =
            await new ChatProcess { DatabasePath = folder.DatabasePath, ["urls"] = LoopbackPort.FreeUrl() }.StartAsync();
        var alice = await _browser.OpenAsync(second.Url, "alice", "bob");
        await Expect(alice.Locator("#status")).ToHaveTextAsync(Open);
        await alice.EvaluateAsync(Soon);
        await new HttpUser(second.Http, "bob").SendAsync("alice", "two");
        await Expect(alice.Locator(".message .body")).ToHaveTextAsync(["one", "two"]);
        await alice.EvaluateAsync("history.pushState(null, '', '?user=alice'); dispatchEvent(new PopStateEvent('popstate'))");
        await Expect(alice.Locator("#thread")).ToBeHiddenAsync(); // nobody reads
        second.Kill();
        await second.ExitAsync();

        string[] again = ["two again", "three"];
        await using (var third = await new ChatProcess { DatabasePath = backup }.StartAsync())
        {
            foreach (var text in again)
                await new HttpUser(third.Http, "bob").SendAsync("alice", text);
            third.Terminate();
            await third.ExitAsync();
        }

        await using var fourth = await new ChatProcess { DatabasePath = backup, ["urls"] = second.Url.AbsoluteUri }.StartAsync();
        await Expect(alice.Locator(".conversation")).ToContainTextAsync("3 unread"); // the copy knows nothing of what was read
        await Expect(alice.Locator("#status")).ToHaveTextAsync(Open);
        await alice.Locator(".conversation").ClickAsync();
        await Expect(alice.Locator(".message .body")).ToHaveTextAsync(["one", .. again]);
    }

    [BrowserFact]
    public async Task An_ack_that_is_lost_on_the_way_is_repeated_on_the_next_connection()
    {
        var alice = await _browser.OpenAsync(fixture.Url);
        var isLost = false;
        await alice.RouteWebSocketAsync("**/chat?**", page =>
        {
            var line = page.ConnectToServer();
            page.OnMessage(frame =>
            {
                if (Volatile.Read(ref isLost) || frame.Text?.Contains("\"ack\"", StringComparison.Ordinal) != true)
                {
                    line.Send(frame.Text!);
                    return;
                }

                Volatile.Write(ref isLost, true);
                _ = line.CloseAsync();
                _ = page.CloseAsync(new() { Code = 1001 });
            });
        });
        await alice.GotoAsync(Browser.Address(fixture.Url, _alice, _bob));
        await Expect(alice.Locator("#status")).ToHaveTextAsync(Open);
        await using var bob = await ChatClient.ConnectAsync(fixture.Url, _bob);
        var sent = await bob.SendAndConfirmAsync(_alice, "hi");
        Assert.Equal(sent.Id, (await bob.FindAsync("delivered")).Id);
        Assert.True(Volatile.Read(ref isLost));
    }

    [BrowserTheory]
    [InlineData("constructor")]
    [InlineData("__proto__")]
    public async Task A_user_may_be_called_like_something_in_the_language(string name)
    {
        await fixture.User(name).SendAsync(_alice, "hi");
        var alice = await _browser.OpenAsync(fixture.Url, _alice);
        await Expect(alice.Locator(".conversation")).ToContainTextAsync("1 unread");
        await alice.Locator(".conversation").ClickAsync();
        await Expect(alice.Locator(".conversation")).Not.ToContainTextAsync("unread");
        await alice.ReloadAsync();
        await Expect(alice.Locator(".conversation")).ToContainTextAsync("hi");
        await Expect(alice.Locator(".conversation")).Not.ToContainTextAsync("unread");
    }

    [BrowserTheory]
    [InlineData(ColorScheme.Light, 1280)]
    [InlineData(ColorScheme.Dark, 390)]
    [InlineData(ColorScheme.Dark, 1280)]
    public async Task Axe_finds_nothing_to_complain_about(ColorScheme scheme, int width)
    {
        var page = await _browser.OpenAsync(fixture.Url, scheme: scheme, width: width);
        await Expect(page.Locator("#name")).ToBeVisibleAsync();
        await AssertAccessibleAsync(page, "signing in");

        await page.GotoAsync(Browser.Address(fixture.Url, _alice));
        await Expect(page.Locator("#status")).ToHaveTextAsync(Open);
        await AssertAccessibleAsync(page, "the empty page");

        await using var bob = await ChatClient.ConnectAsync(fixture.Url, _bob);
        await fixture.User(_carol).SendAsync(_alice, "unread");
        await page.GotoAsync(Browser.Address(fixture.Url, _alice, _bob));
        await SendAsync(page, "delivered");
        await Expect(Tick(page, "delivered")).ToHaveTextAsync("✓✓");
        await bob.SendAsync(_alice, "an answer");
        await SendAsync(page, new string('x', 70_000)); // over the limit: shown as refused
        await Expect(page.Locator(".message.failed")).ToBeVisibleAsync();
        await Expect(page.Locator("#status")).ToHaveTextAsync(Open);
        await AssertAccessibleAsync(page, "a conversation");

        await page.Locator("#wire-toggle").ClickAsync();
        await AssertAccessibleAsync(page, "the wire drawer");
        await page.Locator("#wire-close").ClickAsync();
        await page.Locator("#compare-toggle").ClickAsync();
        await Expect(page.Locator(".way")).ToHaveCountAsync(4);
        await AssertAccessibleAsync(page, "comparing the ways");
        Assert.True(await page.EvaluateAsync<bool>("document.documentElement.scrollWidth <= innerWidth"),
            "nothing is wider than the screen");
    }

    private static async Task SendAsync(IPage page, string text)
    {
        await page.GetByLabel("Message", new() { Exact = true }).FillAsync(text);
        await page.GetByRole(AriaRole.Button, new() { Name = "Send", Exact = true }).ClickAsync();
    }

    private static ILocator Tick(IPage page, string text) =>
        page.Locator(".message", new() { Has = page.GetByText(text, new() { Exact = true }) }).Locator(".meta button");

    private static async Task TabToAsync(IPage page, string id)
    {
        for (var i = 0; i < 30; i++)
        {
            if (await page.EvaluateAsync<string>("document.activeElement.id") == id)
                return;
            await page.Keyboard.PressAsync("Tab");
        }

        Assert.Fail($"Tab never came to #{id}.");
    }

    /// <summary>axe-core finds nothing to complain about.</summary>
    internal static async Task AssertAccessibleAsync(IPage page, string where)
    {
        await page.EvaluateAsync(await File.ReadAllTextAsync(Browser.AxePath));
        var complaints = await page.EvaluateAsync<string[]>(
            "axe.run().then(found => found.violations.flatMap(v => v.nodes.map(n => `${v.id}: ${n.html} ${n.failureSummary}`)))");
        Assert.True(complaints.Length == 0, $"{where}: {string.Join('\n', complaints)}");
    }
}
