using System.Text.RegularExpressions;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace SimpleChat.Tests.ThePage;

/// <summary>What the page keeps, where it belongs, and where Back leads.</summary>
[Collection(PageTests.Name)]
public sealed class StateTests(PageFixture fixture) : IAsyncLifetime
{
    private readonly string _alice = PageFixture.Name("alice"), _bob = PageFixture.Name("bob"), _carol = PageFixture.Name("carol");

    public Task InitializeAsync() => Task.CompletedTask;

    public Task DisposeAsync() => fixture.CloseAsync();

    [BrowserFact]
    public async Task A_draft_belongs_to_its_conversation_and_survives_a_reload()
    {
        await fixture.User(_carol).SendAsync(_alice, "hello");
        var page = await fixture.OpenAsync(_alice, _bob);
        await page.Locator("#text").FillAsync("for bob alone");
        await page.Locator($"[data-other={_carol}]").ClickAsync();
        await Expect(page.Locator("#thread-title")).ToContainTextAsync(_carol);
        await Expect(page.Locator("#text")).ToHaveValueAsync("");
        await page.Locator("#text").FillAsync("for carol");
        await page.ReloadAsync();
        await Expect(page.Locator("#text")).ToHaveValueAsync("for carol");
        await page.GotoAsync(Browser.Address(fixture.Url, _alice, _bob));
        await Expect(page.Locator("#text")).ToHaveValueAsync("for bob alone");
        await page.Locator("#text").PressAsync("Enter");
        await page.ReloadAsync();
        await Expect(page.Locator(".message .body")).ToHaveTextAsync("for bob alone");
        await Expect(page.Locator("#text")).ToHaveValueAsync("");
    }

    [BrowserFact]
    public async Task Back_and_forward_move_between_list_conversations_and_views()
    {
        await fixture.User(_bob).SendAsync(_alice, "hello");
        await fixture.User(_carol).SendAsync(_alice, "hello");
        var page = await fixture.OpenAsync(_alice);
        await page.Locator($"[data-other={_bob}]").ClickAsync();
        await page.Locator($"[data-other={_carol}]").ClickAsync();
        await page.Locator("#compare-toggle").ClickAsync();
        await Expect(page.Locator("#compare")).ToBeVisibleAsync();

        await page.GoBackAsync();
        await Expect(page.Locator("#compare")).ToBeHiddenAsync();
        await Expect(page.Locator("#thread-title")).ToContainTextAsync(_carol);
        await page.GoBackAsync();
        await Expect(page.Locator("#thread-title")).ToContainTextAsync(_bob);
        await page.GoBackAsync();
        await Expect(page.Locator("#thread")).ToBeHiddenAsync();
        await Expect(page.Locator("#empty-title")).ToHaveTextAsync("Choose a conversation");
        await page.GoForwardAsync();
        await Expect(page.Locator("#thread-title")).ToContainTextAsync(_bob);

        await page.SetViewportSizeAsync(390, 800); // there the arrow leads to the list
        await page.Locator("#back").ClickAsync();
        await Expect(page.Locator("#conversations")).ToBeVisibleAsync();
        await Expect(page.Locator($"[data-other={_bob}]")).ToBeFocusedAsync();
        await page.GoForwardAsync();
        await Expect(page.Locator("#thread-title")).ToContainTextAsync(_bob);
    }

    [BrowserFact]
    public async Task After_signing_out_nothing_is_kept_shown_or_sent()
    {
        await using var network = new Network(fixture.Url);
        var context = await fixture.ContextAsync();
        var page = await fixture.OpenAsync(context, _alice, _bob, network.Url);
        var other = await fixture.OpenAsync(context, _alice, server: network.Url);
        await page.BringToFrontAsync();
        network.Cut();
        await Expect(page.Locator("#status")).ToContainTextAsync("No connection.");
        await page.Locator("#text").FillAsync("waits");
        await page.Locator("#text").PressAsync("Enter");
        await Expect(page.Locator(".message.waiting")).ToBeVisibleAsync();
        await page.Locator("#text").FillAsync("a draft");
        await page.Locator("#sign-out").ClickAsync();
        await Expect(page.Locator("#unsent")).ToContainTextAsync("One message was not sent yet");
        await page.GetByRole(AriaRole.Button, new() { Name = "Stay" }).ClickAsync();
        await Expect(page.Locator("#text")).ToHaveValueAsync("a draft");

        await page.Locator("#sign-out").ClickAsync();
        network.Mend();
        await page.EvaluateAsync("document.getElementById('unsent-drop').click()"); // before it is sent after all
        await Expect(page.Locator("#name")).ToBeVisibleAsync();
        await Expect(other.Locator("#name")).ToBeVisibleAsync(); // the other tab, too
        Assert.DoesNotContain(_alice, await page.EvaluateAsync<string>("JSON.stringify(localStorage)"), StringComparison.Ordinal);
        await page.GoBackAsync();
        await Expect(page.Locator("#name")).ToHaveValueAsync(_alice);
        await Expect(page.Locator("#chat")).ToBeHiddenAsync();
        Assert.DoesNotContain("a draft", await page.ContentAsync(), StringComparison.Ordinal);
        await page.Locator("#name").PressAsync("Enter");
        await Expect(page.Locator("#status")).ToHaveTextAsync("Connected by WebSocket.");
    }

    [BrowserFact]
    public async Task With_storage_blocked_the_page_works_and_says_what_will_not_survive()
    {
        var context = await fixture.ContextAsync();
        await context.AddInitScriptAsync( // not in the empty page, which has no storage at all
            """
            if (location.protocol === 'http:') {
              for (const name of ['localStorage', 'sessionStorage'])
                Object.defineProperty(window, name, { get() { throw new DOMException('blocked', 'SecurityError'); } });
            }
            """);
        var page = await fixture.OpenAsync(context, _alice, _bob);
        await Expect(page.Locator("#kept")).ToContainTextAsync("after a reload what waits to be sent, drafts and what you have read");
        await page.Locator("#text").FillAsync("works");
        await page.Locator("#text").PressAsync("Enter");
        await Expect(page.Locator(".message .stored")).ToBeVisibleAsync();
        await page.Locator("#sign-out").ClickAsync();
        await Expect(page.Locator("#name")).ToBeVisibleAsync();
    }

    [BrowserFact]
    public async Task With_storage_full_the_page_says_what_will_not_survive_for_as_long_as_that_is_so()
    {
        var context = await fixture.ContextAsync();
        await context.AddInitScriptAsync(
            """
            window.isFull = true;
            const put = Storage.prototype.setItem;
            Storage.prototype.setItem = function (...row) {
              if (window.isFull)
                throw new DOMException('full', 'QuotaExceededError');
              put.apply(this, row);
            };
            """);
        await fixture.User(_carol).SendAsync(_alice, "hello");
        var page = await fixture.OpenAsync(context, _alice, _bob);
        await page.Locator("#text").FillAsync("a draft for bob");
        await page.Locator($"[data-other={_carol}]").ClickAsync();
        await Expect(page.Locator("#kept")).ToContainTextAsync("after a reload what waits to be sent, drafts and what you have read");
        await page.EvaluateAsync("window.isFull = false");
        await page.Locator("#text").FillAsync("another");
        await page.Locator("#large").ClickAsync();
        await Expect(page.Locator("#kept")).ToBeHiddenAsync();
        await page.GotoAsync(Browser.Address(fixture.Url, _alice, _bob));
        await Expect(page.Locator("#text")).ToHaveValueAsync("a draft for bob");
    }

    [BrowserFact]
    public async Task A_refused_message_of_an_earlier_day_stands_under_that_day_and_today_above_the_first_message_of_today()
    {
        var page = await (await fixture.ContextAsync()).NewPageAsync();
        await page.Clock.SetSystemTimeAsync(DateTime.Now.AddDays(-1));
        await page.GotoAsync(Browser.Address(fixture.Url, _alice, _bob));
        await page.Locator("#text").FillAsync(new string('漢', 30_000));
        await page.Locator("#text").PressAsync("Enter");
        await Expect(page.Locator(".message.failed")).ToBeVisibleAsync();
        await page.Clock.SetSystemTimeAsync(DateTime.Now);
        await fixture.User(_bob).SendAsync(_alice, "of today");
        await page.ReloadAsync();
        await Expect(page.Locator("#messages > li:not(.new)")).ToHaveTextAsync( // whether it was read before the reload is left open
            [new Regex("^Yesterday$"), new Regex("Not sent"), new Regex("^Today$"), new Regex("of today")]);
    }

    [BrowserFact]
    public async Task A_page_of_the_list_that_did_not_come_is_asked_for_again()
    {
        foreach (var name in (string[])[_bob, _carol, PageFixture.Name("dan")])
            await fixture.User(_alice).SendAsync(name, "hello");
        var page = await (await fixture.ContextAsync()).NewPageAsync();
        await page.Clock.InstallAsync(); // its pause is passed over
        var asked = 0;
        await page.RouteAsync("**/conversations?**", route => Interlocked.Increment(ref asked) switch
        {
            1 => route.ContinueAsync(new() { Url = route.Request.Url.Replace("limit=200", "limit=2", StringComparison.Ordinal) }),
            2 => route.AbortAsync(),
            _ => route.ContinueAsync(),
        });
        await page.GotoAsync(Browser.Address(fixture.Url, _alice));
        await Expect(page.Locator(".conversation")).ToHaveCountAsync(2);
        await Deadline.UntilAsync(() => Task.FromResult(Volatile.Read(ref asked) == 2), "the next page is asked for");
        await Deadline.UntilAsync(async () =>
        {
            await page.Clock.FastForwardAsync(3_000);
            return await page.Locator(".conversation").CountAsync() == 3;
        }, "the next page");
        await Expect(page.Locator("#older-conversations")).ToBeHiddenAsync();
    }

    [BrowserFact]
    public async Task An_answer_about_presence_that_comes_late_does_not_undo_what_was_heard_since()
    {
        var page = await fixture.OpenAsync(_alice, _bob);
        await Expect(page.Locator("#presence")).ToHaveTextAsync("away");
        await Expect(page.Locator("#status")).ToHaveTextAsync("Connected by WebSocket.");
        var (asked, heard) = (new TaskCompletionSource(), new TaskCompletionSource());
        await page.RouteAsync("**/presence?**", async route =>
        {
            asked.SetResult();
            await heard.Task;
            await route.ContinueAsync();
        }, new() { Times = 1 });
        var answered = page.WaitForResponseAsync("**/presence?**");
        await page.Locator("#text").FillAsync("are you there?");
        await page.Locator("#text").PressAsync("Enter"); // asks
        await asked.Task.OrFail("the question");
        await fixture.User(_bob).SendAsync(_alice, "I am"); // over HTTP: the server calls him away
        await Expect(page.Locator("#presence")).ToHaveTextAsync("online");
        heard.SetResult();
        await (await answered).FinishedAsync();
        await page.EvaluateAsync("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))");
        await Expect(page.Locator("#presence")).ToHaveTextAsync("online");
    }

    [BrowserFact]
    public async Task An_Enter_that_ends_a_composition_sends_nothing()
    {
        var page = await fixture.OpenAsync(_alice, _bob);
        await page.Locator("#text").FillAsync("漢字");
        await page.EvaluateAsync( // as Safari does it (WebKit bug 165004)
            """
            document.getElementById('text')
              .dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', keyCode: 229, bubbles: true, cancelable: true }))
            """);
        await Expect(page.Locator("#text")).ToHaveValueAsync("漢字");
        await page.Locator("#text").PressAsync("Enter");
        await Expect(page.Locator(".message .body")).ToHaveTextAsync("漢字");
    }

    [BrowserFact]
    public async Task Of_what_waits_only_that_is_refused_which_has_too_many_bytes_and_it_does_not_bury_what_is_newer()
    {
        await using var network = new Network(fixture.Url);
        var page = await fixture.OpenAsync(await fixture.ContextAsync(), _alice, _bob, network.Url);
        network.Cut();
        await Expect(page.Locator("#status")).ToContainTextAsync("No connection.");
        var (tooLong, fits) = (new string('漢', 30_000), new string('z', 60_000));
        foreach (var text in (string[])[tooLong, fits, tooLong])
        {
            await page.Locator("#text").FillAsync(text);
            await page.Locator("#text").PressAsync("Enter");
        }

        await Expect(page.Locator(".message.waiting")).ToHaveCountAsync(3);
        network.Mend();
        await page.Locator("#retry").DispatchEventAsync("click");
        await Expect(page.Locator(".message.failed .refusal")).ToContainTextAsync(
            Enumerable.Repeat("bytes; the server takes 65,536 at most.", 2));
        await Expect(page.Locator(".message .stored")).ToHaveCountAsync(1);
        await fixture.User(_bob).SendAsync(_alice, "newer");
        await Expect(page.Locator(".message")).ToHaveClassAsync( // each where it was typed
            [new Regex("failed"), new Regex("mine"), new Regex("failed"), new Regex("^message(?!.*mine)")]);
        await Expect(page.Locator(".day")).ToHaveTextAsync("Today");
        await page.GetByRole(AriaRole.Button, new() { Name = "Edit" }).First.ClickAsync();
        await Expect(page.Locator("#text")).ToHaveValueAsync(tooLong);
        await Expect(page.Locator(".message.failed")).ToHaveCountAsync(1);
    }

    [BrowserFact]
    public async Task Ticks_are_right_after_an_absence()
    {
        var dan = PageFixture.Name("dan");
        await fixture.SendAsync(_alice, _carol, 1);
        await fixture.SendAsync(_alice, dan, 1);
        await using var network = new Network(fixture.Url);
        var page = await fixture.OpenAsync(await fixture.ContextAsync(), _alice, dan, network.Url);
        await Expect(page.Locator(".message .stored")).ToHaveCountAsync(1);
        await fixture.SendAsync(_alice, _bob, 230);
        network.Cut();
        await Expect(page.Locator("#status")).ToContainTextAsync("No connection.");
        await fixture.User(dan).AckAsync([.. (await fixture.User(dan).InboxAsync()).Select(message => message.Id)]);
        network.Mend();
        await page.Locator("#retry").DispatchEventAsync("click");
        await Expect(page.Locator(".message .delivered")).ToHaveCountAsync(1);
    }

    [BrowserFact]
    public async Task A_name_that_is_not_possible_says_why_and_one_that_is_easily_mistaken_is_pointed_out()
    {
        var shouting = _bob.ToUpperInvariant();
        await fixture.User(shouting).SendAsync(_alice, "hello");
        var page = await fixture.OpenAsync(_alice, "bob%20smith");
        await Expect(page.Locator("#other-problem")).ToContainTextAsync("A name cannot have a space in it");
        await Expect(page.Locator("#thread")).ToBeHiddenAsync();
        await page.Locator("#other").FillAsync("böb");
        await page.Locator("#other").PressAsync("Enter");
        await Expect(page.Locator("#other-problem")).ToContainTextAsync("A name cannot have “ö” in it");
        await page.Locator("#other").FillAsync(_bob);
        await page.Locator("#other").PressAsync("Enter");
        await Expect(page.Locator("#twin")).ToHaveTextAsync($"Not “{shouting}”: capital letters count.");
        await Expect(page.Locator("#other-problem")).ToBeHiddenAsync();
    }

    [BrowserFact]
    public async Task At_the_connection_limit_the_page_says_so_and_tries_less_and_less_often()
    {
        await using var server = await new ChatServer { ["Chat:ConnectionsPerUser"] = "1" }.StartAsync();
        await using var phone = await ChatClient.ConnectAsync(server.Url, _alice, "chat.ack");
        var context = await fixture.ContextAsync();
        await context.AddInitScriptAsync("Math.random = () => .3; window.handshakes = []; " +
            "window.WebSocket = class extends WebSocket { constructor(...all) { super(...all); handshakes.push(performance.now()); } }");
        var page = await context.NewPageAsync();
        await page.Clock.InstallAsync(); // its pauses are passed over
        await page.GotoAsync(Browser.Address(server.Url, _alice, _bob));
        await Expect(page.Locator("#status-text")).ToContainTextAsync("You have as many connections open as one user may have");
        await new HttpUser(server.Http, _bob).SendAsync(_alice, "comes all the same");
        await Deadline.UntilAsync(async () =>
        {
            await page.Clock.RunForAsync(500);
            return await page.EvaluateAsync<bool>("handshakes.length >= 6");
        }, "six handshakes");
        var times = await page.EvaluateAsync<double[]>("handshakes");
        var pauses = times.Zip(times.Skip(1), (one, next) => next - one).ToArray();
        Assert.True(pauses[4] > 4_700, $"Handshakes after pauses of {string.Join(", ", pauses)} ms.");
        await Expect(page.Locator(".message .body")).ToHaveTextAsync("comes all the same");
        await phone.CloseAsync();
        await page.Locator("#retry").DispatchEventAsync("click"); // or it has tried by itself
        await Expect(page.Locator("#status")).ToHaveTextAsync("Connected by WebSocket.");
    }
}
