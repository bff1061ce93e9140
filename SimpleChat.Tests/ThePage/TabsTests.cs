using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace SimpleChat.Tests.ThePage;

/// <summary>Tabs of one user in one browser share what it keeps: none of them takes from another what is not its own.</summary>
[Collection(PageTests.Name)]
public sealed class TabsTests(PageFixture fixture) : IAsyncLifetime
{
    private readonly string _alice = PageFixture.Name("alice"), _bob = PageFixture.Name("bob");

    /// <summary>What becomes of a tab's requests.</summary>
    private enum Line
    {
        Cut,
        Refused,
        Open,
    }

    public Task InitializeAsync() => Task.CompletedTask;

    public Task DisposeAsync() => fixture.CloseAsync();

    [BrowserFact]
    public async Task A_token_that_is_no_longer_taken_drops_neither_what_waits_nor_a_draft_in_this_tab_or_another()
    {
        var line = Line.Cut;
        var context = await fixture.ContextAsync();
        await context.AddInitScriptAsync("Math.random = () => .02"); // it tries again soon
        var page = await OpenAsync(context, () => line);
        var other = await OpenAsync(context, () => Line.Cut);
        await page.Locator("#text").FillAsync("waits");
        await page.Locator("#text").PressAsync("Enter");
        await page.Locator("#text").FillAsync("a draft");
        await Expect(other.Locator(".message.waiting .body")).ToHaveTextAsync("waits");

        line = Line.Refused;
        await Expect(page.Locator("#sign-in-problem")).ToHaveTextAsync("Your token is no longer taken. Sign in again.");
        var kept = await page.EvaluateAsync<string>("JSON.stringify(localStorage)");
        Assert.Contains("waits", kept, StringComparison.Ordinal);
        Assert.Contains("a draft", kept, StringComparison.Ordinal);
        await Expect(other.Locator(".message.waiting .body")).ToHaveTextAsync("waits");

        line = Line.Open;
        await page.Locator("#name").FillAsync(_alice);
        await page.Locator("#name").PressAsync("Enter");
        await page.Locator($"[data-other={_bob}]").ClickAsync();
        await Expect(page.Locator("#text")).ToHaveValueAsync("a draft");
        await Expect(page.Locator(".message .stored")).ToBeVisibleAsync();
        Assert.Equal("waits", Assert.Single((await fixture.User(_alice).GetAsync($"/messages?with={_bob}")).Messages).Body);
    }

    [BrowserFact]
    public async Task A_tab_that_hears_late_of_a_sign_out_leaves_alone_what_was_written_since()
    {
        var context = await fixture.ContextAsync();
        await context.AddInitScriptAsync( // a tab that is frozen hears of it when it wakes
            """
            window.late = [];
            window.BroadcastChannel = class extends BroadcastChannel {
              set onmessage(heard) { super.onmessage = event => late.push(() => heard(event)); }
            };
            """);
        var page = await fixture.OpenAsync(context, _alice, _bob);
        var frozen = await fixture.OpenAsync(context, _alice, _bob);
        await page.Locator("#sign-out").ClickAsync();
        await page.Locator("#name").FillAsync(_alice);
        await page.Locator("#name").PressAsync("Enter");
        await page.Locator("#other").FillAsync(_bob);
        await page.Locator("#other").PressAsync("Enter");
        await page.Locator("#text").FillAsync("a new draft");
        await page.ReloadAsync();

        await frozen.EvaluateAsync( // and what was typed in the old one, just before, is not kept over it
            """
            document.getElementById('text').value = 'an old draft';
            document.getElementById('text').dispatchEvent(new Event('input'));
            late.forEach(hear => hear());
            """);
        await Expect(frozen.Locator("#name")).ToBeVisibleAsync();
        var kept = await page.EvaluateAsync<string>("JSON.stringify(localStorage)");
        Assert.Contains("a new draft", kept, StringComparison.Ordinal);
    }

    [BrowserFact]
    public async Task A_draft_is_neither_lost_nor_brought_back_by_a_tab_in_which_nobody_touched_it()
    {
        var context = await fixture.ContextAsync();
        var looking = await fixture.OpenAsync(context, _alice, _bob);
        var page = await fixture.OpenAsync(context, _alice, _bob);
        await page.Locator("#text").FillAsync("a draft");
        await page.GotoAsync(Browser.Address(fixture.Url, _alice));
        await looking.ReloadAsync(); // which leaves the conversation, with an empty draft
        await Expect(looking.Locator("#text")).ToHaveValueAsync("a draft");

        await page.GotoAsync(Browser.Address(fixture.Url, _alice, _bob));
        await page.Locator("#text").PressAsync("Enter");
        await Expect(page.Locator(".message .stored")).ToBeVisibleAsync();
        await looking.ReloadAsync(); // and now with one that was sent
        await Expect(looking.Locator(".message .body")).ToHaveTextAsync("a draft");
        await Expect(looking.Locator("#text")).ToHaveValueAsync("");
    }

    [BrowserFact]
    public async Task What_a_tab_had_no_time_to_send_another_sends_once_and_in_order()
    {
        var context = await fixture.ContextAsync();
        var other = await context.NewPageAsync();
        await other.Clock.InstallAsync(); // its patience is passed over
        await other.GotoAsync(Browser.Address(fixture.Url, _alice, _bob));
        await Expect(other.Locator("#status")).ToHaveTextAsync("Connected by WebSocket.");
        var page = await OpenAsync(context, () => Line.Cut);
        string[] typed = ["one", "two", "three"];
        foreach (var text in typed)
        {
            await page.Locator("#text").FillAsync(text);
            await page.Locator("#text").PressAsync("Enter");
        }

        await Expect(other.Locator(".message.waiting .body")).ToHaveTextAsync(typed);
        await page.CloseAsync();
        await other.Clock.FastForwardAsync(5_000);
        await Expect(other.Locator(".message .stored")).ToHaveCountAsync(3);
        var history = await fixture.User(_alice).GetAsync($"/messages?with={_bob}");
        Assert.Equal(typed, history.Messages.Select(message => message.Body));
    }

    [BrowserFact]
    public async Task Notifications_that_are_asked_for_or_turned_off_in_one_tab_are_so_in_all()
    {
        var context = await fixture.ContextAsync();
        await context.AddInitScriptAsync(
            """
            window.Notification = class {
              static permission = "granted";
              static requestPermission() { return Promise.resolve("granted"); }
            };
            """);
        var other = await fixture.OpenAsync(context, _alice);
        var page = await fixture.OpenAsync(context, _alice);
        foreach (var isOn in (string[])["true", "false"])
        {
            await page.Locator("#notify").ClickAsync();
            await Expect(other.Locator("#notify")).ToHaveAttributeAsync("aria-pressed", isOn);
        }

        await page.Locator("#notify").ClickAsync();
        await page.Locator("#sign-out").ClickAsync();
        await Expect(other.Locator("#name")).ToBeVisibleAsync(); // it has no button any more, and throws nothing
    }

    private async Task<IPage> OpenAsync(IBrowserContext context, Func<Line> line)
    {
        var page = await context.NewPageAsync();
        await page.RouteWebSocketAsync("**/chat?**", socket =>
        {
            if (line() == Line.Open)
                socket.ConnectToServer();
            else
                _ = socket.CloseAsync(new() { Code = 1001 });
        });
        await page.RouteAsync("**/inbox?**", route => line() switch
        {
            Line.Cut => route.AbortAsync(),
            Line.Refused => route.FulfillAsync(new() { Status = 401 }),
            _ => route.ContinueAsync(),
        });
        await page.GotoAsync(Browser.Address(fixture.Url, _alice, _bob));
        await Expect(page.Locator("#status")).ToContainTextAsync("No connection.");
        return page;
    }
}
