using System.Globalization;
using System.Text.RegularExpressions;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace SimpleChat.Tests.ThePage;

/// <summary>What was read: it was on the screen while the page was visible.</summary>
[Collection(PageTests.Name)]
public sealed class ReadingTests(PageFixture fixture) : IAsyncLifetime
{
    private readonly string _alice = PageFixture.Name("alice"), _bob = PageFixture.Name("bob"), _carol = PageFixture.Name("carol");

    public Task InitializeAsync() => Task.CompletedTask;

    public Task DisposeAsync() => fixture.CloseAsync();

    [BrowserFact]
    public async Task What_is_unread_survives_a_reload_and_is_the_same_in_all_tabs_of_a_browser()
    {
        var context = await fixture.ContextAsync();
        var first = await fixture.OpenAsync(context, _alice);
        await SendAsync(_bob, 3);
        await SendAsync(_carol, 1);
        await Expect(first).ToHaveTitleAsync($"(4) {_alice} – SimpleChat");
        await Expect(first.Locator("#icon")).ToHaveAttributeAsync("href", new Regex("^data:image/svg.*A%3C.*circle")); // initial and dot
        await first.ReloadAsync();
        await Expect(first).ToHaveTitleAsync($"(4) {_alice} – SimpleChat");

        var second = await fixture.OpenAsync(context, _alice);
        await Expect(second).ToHaveTitleAsync($"(4) {_alice} – SimpleChat");
        await first.BringToFrontAsync();
        await first.Locator($"[data-other={_bob}]").ClickAsync();
        foreach (var page in (IPage[])[first, second])
        {
            await Expect(page).ToHaveTitleAsync($"(1) {_alice} – SimpleChat");
            await Expect(page.Locator($"[data-other={_bob}]")).Not.ToContainTextAsync("unread");
        }

        await second.BringToFrontAsync();
        await second.Locator($"[data-other={_carol}]").ClickAsync();
        await Expect(first).ToHaveTitleAsync($"{_alice} – SimpleChat");
        var third = await fixture.OpenAsync(context, _alice);
        await Expect(third.Locator(".conversation")).ToHaveCountAsync(2);
        await Expect(third).ToHaveTitleAsync($"{_alice} – SimpleChat");
        await Expect(third.Locator("#icon")).ToHaveAttributeAsync("href", new Regex("^data:image/svg(?!.*circle)"));
    }

    [BrowserFact]
    public async Task A_conversation_opens_at_its_first_unread_message_and_what_is_below_the_screen_stays_unread()
    {
        var page = await fixture.OpenAsync(_alice);
        await SendAsync(_bob, 150);
        await Expect(page.Locator(".conversation")).ToContainTextAsync("99+ unread");
        await page.Locator(".conversation").ClickAsync();
        await Expect(page.Locator(".new + .message .body")).ToHaveTextAsync("Message 1");
        await Expect(page.Locator(".new + .message")).ToBeInViewportAsync();
        await Expect(page.Locator("#newest-text")).ToHaveTextAsync("99+ new ↓");
        await page.Locator("#scroll").HoverAsync();
        await Deadline.UntilAsync(async () =>
        {
            await page.Mouse.WheelAsync(0, 100);
            return Regex.IsMatch(await page.Locator("#newest-text").TextContentAsync() ?? "", "^[2-6][0-9] new ↓$");
        }, "fewer that are new, the further one reads");

        await page.Locator("#text").PressAsync("Escape"); // the button's key
        await Expect(page.GetByText("Message 150", new() { Exact = true }).Last).ToBeInViewportAsync();
        await Expect(page.Locator("#newest")).ToBeHiddenAsync();
        await Expect(page).ToHaveTitleAsync($"{_alice} – SimpleChat");
    }

    [BrowserFact]
    public async Task Who_has_scrolled_up_is_told_what_came_and_the_button_leads_there()
    {
        var page = await OpenAtTheEndAsync(60);
        await page.Locator("#scroll").HoverAsync();
        await page.Mouse.WheelAsync(0, -600);
        await Expect(Body(page, "Message 60")).Not.ToBeInViewportAsync();
        await fixture.User(_bob).SendAsync(_alice, "below the fold");
        await Expect(page.Locator("#newest-text")).ToHaveTextAsync("1 new ↓");
        await Expect(page).ToHaveTitleAsync($"(1) {_alice} – SimpleChat");
        await page.Locator("#newest").ClickAsync();
        await Expect(Body(page, "below the fold")).ToBeInViewportAsync();
        await Expect(page).ToHaveTitleAsync($"{_alice} – SimpleChat");
        await Expect(page.Locator("#text")).ToBeFocusedAsync();
    }

    [BrowserFact]
    public async Task Who_is_at_the_bottom_stays_there_whatever_changes_size()
    {
        var page = await OpenAtTheEndAsync(60);
        await page.Locator("#wire-toggle").ClickAsync();
        await Expect(Body(page, "Message 60")).ToBeInViewportAsync(new() { Ratio = 1 });
        await page.Locator("#text").FillAsync("1\n2\n3\n4\n5\n6");
        await Expect(Body(page, "Message 60")).ToBeInViewportAsync(new() { Ratio = 1 });
        await page.SetViewportSizeAsync(1280, 480);
        await Expect(Body(page, "Message 60")).ToBeInViewportAsync(new() { Ratio = 1 });
        await fixture.User(_bob).SendAsync(_alice, "one more");
        await Expect(Body(page, "one more")).ToBeInViewportAsync(new() { Ratio = 1 });
        await Expect(page).ToHaveTitleAsync($"{_alice} – SimpleChat");
        await Expect(page.Locator(".entry").Last).ToBeInViewportAsync(new() { Ratio = 1 });
    }

    [BrowserFact]
    public async Task What_comes_while_nobody_looks_is_unread_until_somebody_does()
    {
        var context = await fixture.ContextAsync();
        await context.AddInitScriptAsync("Object.defineProperty(document, 'hidden', { get: () => window.isAway === true })");
        var page = await OpenAtTheEndAsync(40, context);
        await LookAsync(page, isAway: true);
        for (var i = 1; i <= 50; i++)
            await fixture.User(_bob).SendAsync(_alice, $"Unseen {i.ToString(CultureInfo.InvariantCulture)}");
        await Expect(page).ToHaveTitleAsync($"(50) {_alice} – SimpleChat");
        await LookAsync(page, isAway: false);
        await Expect(page.Locator(".new + .message .body")).ToHaveTextAsync("Unseen 1");
        await Expect(Body(page, "Unseen 1")).ToBeInViewportAsync();
        await Expect(page.Locator("#newest-text")).ToHaveTextAsync(new Regex("^[23][0-9] new ↓$"));
    }

    [BrowserFact]
    public async Task A_conversation_is_left_and_come_back_to_where_one_was_and_at_what_came_meanwhile()
    {
        await fixture.User(_carol).SendAsync(_alice, "hello");
        var page = await OpenAtTheEndAsync(250);
        await page.Locator("#scroll").EvaluateAsync("node => node.scrollTop -= 1500");
        await Expect(Body(page, "Message 250")).Not.ToBeInViewportAsync();
        var place = await AtTopAsync();

        await page.Locator($"[data-other={_carol}]").ClickAsync();
        await Expect(page.Locator(".message .body")).ToHaveTextAsync("hello");
        await page.Locator($"[data-other={_bob}]").ClickAsync();
        await ThereAgainAsync();
        await page.Locator("#compare-toggle").ClickAsync();
        await Expect(page.Locator("#compare")).ToBeVisibleAsync();
        await page.GoBackAsync();
        await ThereAgainAsync();

        await page.Locator($"[data-other={_carol}]").ClickAsync();
        await SendAsync(_bob, 300); // more than the page keeps of what is not on the screen
        await page.Locator($"[data-other={_bob}]").ClickAsync();
        await Expect(page.Locator(".new + .message .body")).ToHaveTextAsync("Message 1");
        await Expect(page.Locator(".new + .message")).ToBeInViewportAsync();

        Task ThereAgainAsync() => Deadline.UntilAsync(
            async () => await AtTopAsync() is var (text, top) && text == place.Text && Math.Abs(top - place.Top) <= 1,
            "the place where one was");

        async Task<(string Text, int Top)> AtTopAsync()
        {
            var found = await page.EvaluateAsync<string[]>(
                """
                () => {
                  const edge = document.getElementById("scroll").getBoundingClientRect().top;
                  const first = [...document.querySelectorAll(".message")].find(node => node.getBoundingClientRect().bottom > edge);
                  const top = first ? Math.round(first.getBoundingClientRect().top - edge) : 0;
                  return [first?.querySelector(".body").textContent ?? "", String(top)];
                }
                """);
            return (found[0], int.Parse(found[1], CultureInfo.InvariantCulture));
        }
    }

    [BrowserFact]
    public async Task A_long_conversation_can_be_read_to_its_beginning_and_back_without_a_gap()
    {
        const int Count = 3_100; // more than the page has at hand
        var page = await OpenAtTheEndAsync(Count);
        await ScrollAsync(-5_000, 1);
        await Expect(page.Locator("#older")).ToHaveTextAsync("This is where it began.");
        await ScrollAsync(5_000, Count);
        await page.Locator("#scroll").EvaluateAsync("node => node.scrollTop = node.scrollHeight");
        await Expect(page.Locator("#newest")).ToBeHiddenAsync();

        async Task ScrollAsync(int pixels, int goal) => await page.EvaluateAsync(
            """
            async ([pixels, goal]) => {
              for (let shown = []; !shown.includes(goal);) {
                document.getElementById("scroll").scrollTop += pixels;
                await new Promise(requestAnimationFrame);
                shown = [...document.querySelectorAll(".message .body")].map(node => Number(node.textContent.slice("Message ".length)));
                if (shown.some((number, at) => number !== shown[0] + at))
                  throw new Error(`There is a gap: ${shown}`);
              }
            }
            """, (int[])[pixels, goal]).OrFail(string.Create(CultureInfo.InvariantCulture, $"message {goal}"));
    }

    [BrowserFact]
    public async Task A_chatty_conversation_hides_no_other()
    {
        for (var i = 0; i < 40; i++)
            await fixture.User(PageFixture.Name("quiet")).SendAsync(_alice, "hello");
        await SendAsync(_bob, 300);
        var page = await fixture.OpenAsync(_alice);
        await Expect(page.Locator(".conversation")).ToHaveCountAsync(41);
        await Expect(page.Locator(".conversation .count")).ToHaveTextAsync(["99+ unread", .. Enumerable.Repeat("1 unread", 40)]);
        await Expect(page).ToHaveTitleAsync($"(99+) {_alice} – SimpleChat");
        await Expect(page.Locator("#empty-title")).ToHaveTextAsync("Choose a conversation");
        await fixture.DeliveredAsync(_alice);
    }

    /// <summary>alice's page with so many messages of bob's, all of them read.</summary>
    private async Task<IPage> OpenAtTheEndAsync(int count, IBrowserContext? context = null)
    {
        await SendAsync(_bob, count);
        var page = await fixture.OpenAsync(context ?? await fixture.ContextAsync(), _alice, _bob);
        await Expect(page.Locator(".new")).ToBeVisibleAsync();
        await page.Locator("#text").PressAsync("Escape");
        await Expect(Body(page, $"Message {count.ToString(CultureInfo.InvariantCulture)}")).ToBeInViewportAsync();
        return page;
    }

    private static ILocator Body(IPage page, string text) => page.Locator(".message .body").GetByText(text, new() { Exact = true });

    private static async Task LookAsync(IPage page, bool isAway) =>
        await page.EvaluateAsync($"window.isAway = {(isAway ? "true" : "false")}; document.dispatchEvent(new Event('visibilitychange'))");

    private Task SendAsync(string from, int count) => fixture.SendAsync(from, _alice, count);
}
