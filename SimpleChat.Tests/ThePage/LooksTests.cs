using System.Globalization;
using System.Text.RegularExpressions;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace SimpleChat.Tests.ThePage;

/// <summary>What one sees: columns, people, texts, the drawer.</summary>
[Collection(PageTests.Name)]
public sealed class LooksTests(PageFixture fixture) : IAsyncLifetime
{
    private readonly string _alice = PageFixture.Name("alice"), _bob = PageFixture.Name("bob");

    public Task InitializeAsync() => Task.CompletedTask;

    public Task DisposeAsync() => fixture.CloseAsync();

    [BrowserFact]
    public async Task Head_messages_and_composer_share_one_column_and_the_drawer_covers_nothing_from_900_pixels_up()
    {
        await fixture.SendAsync(_bob, _alice, 30);
        var page = await fixture.OpenAsync(_alice, _bob);
        foreach (var width in (int[])[1920, 1280, 1024, 960, 900])
        {
            await page.SetViewportSizeAsync(width, 800);
            foreach (var isOpen in (bool[])[false, true])
            {
                if (isOpen)
                    await page.Locator("#wire-toggle").ClickAsync();
                var edges = await page.EvaluateAsync<double[]>(
                    """
                    () => {
                      const content = selector => {
                        const [box] = document.querySelector(selector).getClientRects();
                        const style = getComputedStyle(document.querySelector(selector));
                        return [box.left + parseFloat(style.paddingLeft), box.right - parseFloat(style.paddingRight)];
                      };
                      return ['.thread-head', '#composer', '#messages'].flatMap(content);
                    }
                    """);
                var where = string.Create(CultureInfo.InvariantCulture, $"{width}, drawer {isOpen}: {string.Join(' ', edges)}");
                Assert.True(Math.Abs(edges[0] - edges[2]) < 1 && Math.Abs(edges[0] - edges[4]) < 1, where);
                Assert.True(Math.Abs(edges[1] - edges[3]) < 1 && Math.Abs(edges[1] - edges[5]) < 1, where);
                if (isOpen)
                {
                    var (send, wire) = (await BoxAsync(page, "#composer button"), await BoxAsync(page, "#wire"));
                    Assert.True(send.X + send.Width <= wire.X, where);
                    await page.Locator("#wire-close").ClickAsync();
                }
            }
        }

        await page.SetViewportSizeAsync(800, 800); // there it may cover
        await page.Locator("#wire-toggle").ClickAsync();
        await page.Keyboard.PressAsync("Escape");
        await Expect(page.Locator("#wire")).ToBeHiddenAsync();
        await Expect(page.Locator("#text")).ToBeFocusedAsync();
    }

    [BrowserFact]
    public async Task Two_people_are_told_apart_and_twenty_short_messages_fit_on_the_screen()
    {
        for (var i = 1; i <= 30; i++)
        {
            var (from, to) = i % 3 == 0 ? (_alice, _bob) : (_bob, _alice);
            await fixture.User(from).SendAsync(to, string.Create(CultureInfo.InvariantCulture, $"Short {i}"));
        }

        var page = await fixture.OpenAsync(_alice, _bob);
        await page.Locator("#text").PressAsync("Escape");
        await Expect(page.Locator(".message .body").Last).ToBeInViewportAsync();
        var whole = await page.EvaluateAsync<int>(
            """
            () => {
              const screen = document.getElementById('scroll').getBoundingClientRect();
              return [...document.querySelectorAll('.message')].map(node => node.getBoundingClientRect())
                .filter(box => box.top >= screen.top && box.bottom <= screen.bottom).length;
            }
            """);
        Assert.True(whole >= 20, $"{whole} fit");

        string[] colours = [];
        foreach (var (name, where) in new[] { (_alice, "#who .avatar"), (_bob, "#thread-title .avatar"), (_bob, ".conversation .avatar") })
        {
            await Expect(page.Locator(where)).ToHaveTextAsync(name[..1].ToUpperInvariant());
            colours = [.. colours, await page.Locator(where).EvaluateAsync<string>("node => getComputedStyle(node).backgroundColor")];
        }

        Assert.Equal(colours[1], colours[2]);
        await Expect(page.Locator(".message:not(.mine)").Last).ToHaveAttributeAsync("data-initial", "B");
        await page.SetViewportSizeAsync(390, 800);
        await Expect(page.Locator("#me")).ToBeVisibleAsync(); // one's own name, at every width
    }

    [BrowserFact]
    public async Task In_forced_colours_one_sees_who_is_there_which_conversation_is_open_and_what_is_unread()
    {
        await fixture.SendAsync(_bob, _alice, 1);
        await fixture.SendAsync(PageFixture.Name("carol"), _alice, 1);
        var page = await fixture.OpenAsync(_alice, _bob);
        await page.EmulateMediaAsync(new() { ForcedColors = ForcedColors.Active });
        await Expect(page.Locator(".conversation .count:visible")).ToHaveCountAsync(1);
        foreach (var what in (string[])[".avatar:visible", ".status .dot", ".conversation[aria-current=true]", ".count:visible", ".bubble"])
        {
            var (line, ground) = (await StyleAsync("borderTopColor"), await StyleAsync("backgroundColor"));
            Assert.True(line != ground && await StyleAsync("borderTopStyle") == "solid", $"{what}: {line} on {ground}");

            Task<string> StyleAsync(string name) =>
                page.Locator(what).First.EvaluateAsync<string>($"node => getComputedStyle(node).{name}");
        }
    }

    [BrowserFact]
    public async Task The_large_mode_is_for_projectors_and_stays()
    {
        var page = await fixture.OpenAsync(_alice, _bob);
        var before = (await BoxAsync(page, "#who .avatar")).Height;
        await page.GetByRole(AriaRole.Button, new() { Name = "Large" }).ClickAsync();
        Assert.True((await BoxAsync(page, "#who .avatar")).Height > 1.3 * before);
        await page.ReloadAsync();
        await Expect(page.Locator("#large")).ToHaveAttributeAsync("aria-pressed", "true");
        Assert.True((await BoxAsync(page, "#who .avatar")).Height > 1.3 * before);
    }

    [BrowserFact]
    public async Task The_drawers_log_follows_what_comes_unless_one_scrolls_and_filters_and_clears()
    {
        var page = await fixture.OpenAsync(_alice, _bob);
        await fixture.SendAsync(_bob, _alice, 40);
        await page.Locator("#wire-toggle").ClickAsync();
        await fixture.User(_bob).SendAsync(_alice, "followed");
        await Expect(Entry("followed")).ToBeInViewportAsync(new() { Ratio = 1 });
        await page.Locator("#wire-scroll").HoverAsync();
        await page.Mouse.WheelAsync(0, -600);
        await Expect(Entry("followed")).Not.ToBeInViewportAsync();
        await fixture.User(_bob).SendAsync(_alice, "not followed");
        await Expect(Entry("not followed")).ToHaveCountAsync(1);
        await Expect(Entry("not followed")).Not.ToBeInViewportAsync();
        await page.Mouse.WheelAsync(0, 10_000);
        await Expect(Entry("not followed")).ToBeInViewportAsync(new() { Ratio = 1 });

        ILocator Entry(string text) => page.Locator(".entry pre", new() { HasText = $"\"{text}\"" });
    }

    [BrowserFact]
    public async Task The_header_keeps_its_height_whatever_the_connection_does()
    {
        await using var network = new Network(fixture.Url);
        var page = await fixture.OpenAsync(await fixture.ContextAsync(), _alice, _bob, network.Url);
        var before = (await BoxAsync(page, ".bar")).Height;
        network.Cut();
        await Expect(page.Locator("#retry")).ToBeVisibleAsync();
        Assert.Equal(before, (await BoxAsync(page, ".bar")).Height);
        await page.SetViewportSizeAsync(390, 800);
        await Expect(page.Locator("#retry")).ToBeVisibleAsync();
        var (bar, tools) = (await BoxAsync(page, ".bar"), await BoxAsync(page, ".tools"));
        Assert.True(tools.Y + tools.Height <= bar.Y + bar.Height, "The tools are within it.");
    }

    [BrowserFact]
    public async Task Links_code_and_emoji_are_what_they_are_and_nothing_runs_out_of_its_message()
    {
        string[] texts =
        [
            "see https://example.com/a_(b)?c=1, and javascript:alert(1) or ftp://example.com",
            "run `dotnet run` or\n```\nvar x = 1;\n```", "👍🏽 👩‍👩‍👧", "\u200B\u200B",
            "Z" + new string('\u0301', 160), "\u202Eevil\u202C back", "\u202Eopen",
        ];
        foreach (var text in texts)
            await fixture.User(_bob).SendAsync(_alice, text);
        var context = await fixture.ContextAsync(width: 390);
        var page = await fixture.OpenAsync(context, _alice, _bob);
        var bodies = page.Locator(".message .body");
        await Expect(bodies).ToHaveCountAsync(texts.Length);

        var link = page.Locator(".message a");
        await Expect(link).ToHaveTextAsync("https://example.com/a_(b)?c=1");
        await Expect(link).ToHaveAttributeAsync("href", "https://example.com/a_(b)?c=1");
        await Expect(link).ToHaveAttributeAsync("rel", "noopener noreferrer");
        await Expect(bodies.Nth(0)).ToHaveTextAsync(texts[0]);
        await Expect(bodies.Nth(1).Locator("code")).ToHaveTextAsync(["dotnet run", "var x = 1;"]);
        await context.GrantPermissionsAsync(["clipboard-read", "clipboard-write"]);
        await bodies.Nth(1).GetByRole(AriaRole.Button, new() { Name = "Copy" }).ClickAsync();
        await Expect(bodies.Nth(1).GetByRole(AriaRole.Button)).ToHaveTextAsync("Copied");
        Assert.Equal("var x = 1;", await page.EvaluateAsync<string>("navigator.clipboard.readText()"));
        await Expect(bodies.Nth(2)).ToHaveClassAsync("body emoji");
        await Expect(bodies.Nth(3)).ToHaveTextAsync("(2 characters that cannot be seen)");
        Assert.True(
            await page.Locator("#scroll").EvaluateAsync<bool>("node => node.scrollWidth <= node.clientWidth"), "Something runs out.");

        await page.Locator("#text").FillAsync("\u200B\u200B");
        await page.Locator("#text").PressAsync("Enter");
        await Expect(page.Locator("#composer-problem")).ToHaveTextAsync("There is nothing to be seen in this message.");
        await Expect(bodies).ToHaveCountAsync(texts.Length);
    }

    [BrowserFact]
    public async Task Texts_that_were_made_to_be_slow_or_high_stop_nobody_and_are_shown_whole_when_asked()
    {
        const int Long = 60_000;
        string[] texts =
        [
            "```" + new string('a', Long), "http://a" + new string('.', Long) + "x",
            "http://a" + string.Concat(Enumerable.Repeat(").", Long / 2)), string.Concat(Enumerable.Repeat("`a`", Long / 3)),
            new string('\n', Long / 2) + "end", string.Concat(Enumerable.Repeat("👍🏽", 2000)),
        ];
        var page = await fixture.OpenAsync(_alice, _bob);
        await page.EvaluateAsync(
            """
            window.tasks = [];
            new PerformanceObserver(list => tasks.push(...list.getEntries().map(entry => entry.duration))).observe({ type: "longtask" });
            """);
        await Expect(page.Locator("#older")).ToContainTextAsync("No message yet."); // history has come; all that follows is live
        foreach (var text in texts)
            await fixture.User(_bob).SendAsync(_alice, text);
        await Expect(page.Locator(".message .more")).ToHaveCountAsync(texts.Length);
        Assert.True(await page.EvaluateAsync<double>("Math.max(0, ...tasks)") < 1000, "A task is too long.");
        Assert.True(await page.EvaluateAsync<int>("document.querySelectorAll('*').length") < 3000, "The document is too large.");

        var high = page.Locator(".message").Nth(4);
        Assert.True((await high.BoundingBoxAsync())!.Height < 2000);
        await high.GetByRole(AriaRole.Button, new() { Name = "Show all" }).ClickAsync();
        await Expect(high.Locator(".body")).ToContainTextAsync("end");
        await Expect(high.Locator(".more")).ToHaveCountAsync(0);
        await Expect(page.Locator(".message").Nth(5)).Not.ToBeInViewportAsync(); // one reads on where one was
    }

    [BrowserFact]
    public async Task A_comparison_leaves_no_conversation_behind_and_measures_idleness_too()
    {
        var page = await fixture.OpenAsync(_alice);
        var clicked = new TaskCompletionSource();
        await page.RouteAsync("**/inbox?user=*.compare", async route =>
        {
            await clicked.Task; // the inbox is still being emptied then
            await route.ContinueAsync();
        }, new() { Times = 1 });
        await page.Locator("#compare-toggle").ClickAsync();
        await page.Locator("#compare-interval").SelectOptionAsync("1000");
        await page.Locator("#compare-one").ClickAsync();
        clicked.SetResult();
        await Expect(page.Locator("#compare-status")).ToHaveTextAsync("All four have message 1.");
        await Expect(page.Locator(".way meter")).ToHaveCountAsync(4);
        await page.Locator("#compare-seconds").SelectOptionAsync("5");
        await page.Locator("#compare-idle").ClickAsync();
        await Expect(page.Locator("[data-way=WebSocket] [data-number=idle]")).ToHaveTextAsync("0 requests, 0 bytes");
        await Expect(page.Locator("[data-way='Short polling'] [data-number=idle]")).ToHaveTextAsync(new Regex("^[3-6] requests"));
        await Expect(page.Locator("#compare")).ToContainTextAsync("The fifth way");
        await page.GoBackAsync();
        await Expect(page.Locator("#empty-title")).ToHaveTextAsync("Nothing here yet");
        await page.ReloadAsync();
        await Expect(page.Locator("#status")).ToHaveTextAsync("Connected by WebSocket.");
        await Expect(page.Locator(".conversation")).ToHaveCountAsync(0);
    }

    [BrowserFact]
    public async Task A_comparison_survives_a_server_that_refuses_for_a_while_and_does_not_hammer_it()
    {
        var page = await fixture.OpenAsync(_alice);
        var unavailable = new RouteFulfillOptions { Status = 503 };
        int polls = 0, streams = 0;
        await page.RouteAsync("**/inbox?user=*.compare", route => route.FulfillAsync(unavailable), new() { Times = 1 });
        await page.RouteAsync("**/inbox/stream?**", route =>
            Interlocked.Increment(ref streams) == 1 ? route.FulfillAsync(unavailable) : route.ContinueAsync());
        await page.RouteAsync("**/inbox?*wait=*", route =>
        {
            Interlocked.Increment(ref polls);
            return route.ContinueAsync();
        });
        await page.Locator("#compare-toggle").ClickAsync();
        await Expect(page.Locator("#compare-status")).ToHaveTextAsync(
            "The inbox could not be emptied: the server answered 503. Send a message to try again.");

        await page.Locator("#compare-interval").SelectOptionAsync("1000");
        await page.Locator("#compare-one").ClickAsync();
        await Expect(page.Locator("#compare-status")).ToHaveTextAsync("All four have message 1.");
        Assert.Equal(2, streams); // the refused one was begun again

        // What others write there is acknowledged by nobody. The long poll is answered at once then, and asks once a second.
        var before = Volatile.Read(ref polls);
        await fixture.User($"{_alice}.another").SendAsync($"{_alice}.compare", "not of the comparison");
        await page.Locator("#compare-seconds").SelectOptionAsync("5");
        await page.Locator("#compare-idle").ClickAsync();
        await Expect(page.Locator("#compare-status")).ToHaveTextAsync(new Regex("^Idle for 5 s"));
        Assert.InRange(Volatile.Read(ref polls) - before, 2, 12);
    }

    [BrowserFact]
    public async Task Notifications_are_asked_for_by_a_button_and_come_when_nobody_looks()
    {
        var context = await fixture.ContextAsync();
        await context.AddInitScriptAsync(
            """
            window.told = [];
            window.Notification = class {
              static permission = "default";
              static requestPermission() { return Promise.resolve(Notification.permission = "granted"); }
              constructor(title, { body }) { told.push(`${title}: ${body}`); }
            };
            Object.defineProperty(document, "hidden", { get: () => window.isAway === true });
            """);
        var page = await fixture.OpenAsync(context, _alice);
        await page.EvaluateAsync("window.isAway = true");
        await fixture.User(_bob).SendAsync(_alice, "not asked for");
        await Expect(page).ToHaveTitleAsync($"(1) {_alice} – SimpleChat");
        await page.Locator("#notify").ClickAsync();
        await Expect(page.Locator("#notify")).ToHaveAttributeAsync("aria-pressed", "true");
        await fixture.User(_bob).SendAsync(_alice, "asked for");
        await Deadline.UntilAsync(() => page.EvaluateAsync<bool>("told.length > 0"), "a notification");
        Assert.Equal([$"{_bob}: asked for"], await page.EvaluateAsync<string[]>("told"));
    }

    private static async Task<LocatorBoundingBoxResult> BoxAsync(IPage page, string selector) =>
        (await page.Locator(selector).BoundingBoxAsync())!;
}
