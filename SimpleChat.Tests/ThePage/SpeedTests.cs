using System.Diagnostics;
using System.Globalization;
using Microsoft.Playwright;
using SimpleChat.Tests.Batteries;
using Xunit.Abstractions;
using static Microsoft.Playwright.Assertions;

namespace SimpleChat.Tests.ThePage;

/// <summary>
/// How fast the page is, measured by the browser: long tasks (https://www.w3.org/TR/longtasks-1/) and the time from a key to its painting
/// (https://www.w3.org/TR/event-timing/). The figures are printed; the bounds leave room for a machine that has other things to do.
/// </summary>
[Collection(PageTests.Name)]
public sealed class SpeedTests(PageFixture fixture, ITestOutputHelper output) : IAsyncLifetime
{
    private const int Long = 50_000; // messages in one conversation, before the flood

    private readonly string _alice = PageFixture.Name("alice"), _bob = PageFixture.Name("bob");

    /// <summary>How long the flood lasts, unless SECONDS says otherwise.</summary>
    private static readonly double Seconds = Battery.Part(TimeSpan.FromSeconds(4)).TotalSeconds;

    public Task InitializeAsync() => Task.CompletedTask;

    public Task DisposeAsync() => fixture.CloseAsync();

    /// <summary>For a minute: <c>SECONDS=60 dotnet test --filter A_thousand_messages_a_second</c>.</summary>
    [BrowserFact]
    public async Task A_thousand_messages_a_second_into_a_conversation_of_fifty_thousand_leave_the_page_quick()
    {
        const int Rate = 1000;
        await fixture.SendAsync(_bob, _alice, Long);
        var page = await fixture.OpenAsync(_alice, _bob);
        await page.Locator("#text").PressAsync("Escape");
        await Expect(page.Locator(".message .body").Last).ToHaveTextAsync(Text("Message", Long));
        await ObserveAsync(page);
        var heap = await HeapAsync(page);

        var (count, started) = ((int)(Seconds * Rate), Stopwatch.GetTimestamp());
        var typing = TypeUntilAsync(page, () => Stopwatch.GetElapsedTime(started).TotalSeconds >= Seconds);
        await using var bob = await ChatClient.ConnectAsync(fixture.Url, _bob, "chat.ack");
        var stored = PageFixture.StoredAsync(bob, count);
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        for (var sent = 0; sent < count; await pace.WaitForNextTickAsync())
        {
            for (var due = Math.Min(count, Stopwatch.GetElapsedTime(started).TotalSeconds * Rate); sent < due; sent++)
                await bob.SendAsync(_alice, Text("Flood", sent + 1));
        }

        await stored;
        var typed = await typing;
        var ended = Stopwatch.GetTimestamp();
        await Expect(page.Locator(".message .body").Last).ToHaveTextAsync(Text("Flood", count), new() { Timeout = 30_000 });
        var behind = Stopwatch.GetElapsedTime(ended);
        var seen = await SeenAsync(page);
        var elements = await page.EvaluateAsync<int>("document.querySelectorAll('*').length");
        var grown = await HeapAsync(page) - heap;
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{count} messages in {Seconds} s; all shown {behind.TotalMilliseconds:0} ms after the last; {seen}; " +
            $"{elements} elements; heap grew by {grown / 1e6:0.0} MB"));
        await Expect(page.Locator("#text")).ToHaveValueAsync(new string('k', typed));
        Assert.True(seen.KeyP95 < 400, "A key waits too long.");
        Assert.True(seen.LongestTask < 1000, "A task is too long.");
        Assert.True(elements < 3000, "The document grows.");
        Assert.True(grown < 25_000_000, "Memory grows.");
        Assert.True(behind < TimeSpan.FromSeconds(5), "It falls behind.");
    }

    [BrowserFact]
    public async Task Ten_thousand_messages_are_caught_up_with_in_no_time()
    {
        const int Missed = 10_000;
        await using var network = new Network(fixture.Url);
        await fixture.SendAsync(_bob, _alice, 10);
        var page = await fixture.OpenAsync(await fixture.ContextAsync(), _alice, _bob, network.Url);
        await page.Locator("#text").PressAsync("Escape");
        await Expect(page.Locator(".message .body").Last).ToHaveTextAsync("Message 10");
        network.Cut();
        await Expect(page.Locator("#status")).ToContainTextAsync("No connection.");
        await fixture.SendAsync(_bob, _alice, Missed);

        network.Mend();
        await ObserveAsync(page);
        var took = await page.EvaluateAsync<double>(
            """
            last => new Promise(done => {
              const started = performance.now();
              document.getElementById("retry").click();
              const look = () => [...document.querySelectorAll(".message .body")].at(-1)?.textContent === last
                ? done(performance.now() - started) : requestAnimationFrame(look);
              look();
            })
            """,
            Text("Message", Missed));
        var seen = await SeenAsync(page);
        output.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"{Missed} messages caught up with in {took:0} ms; longest task {seen.LongestTask:0} ms"));
        await Expect(page.Locator("#newest-text")).ToHaveTextAsync("99+ new ↓");
        Assert.True(took < 10_000, "It takes too long.");
        Assert.True(seen.LongestTask < 1000, "A task is too long.");
        await fixture.DeliveredAsync(_alice);
    }

    private static string Text(string word, int number) => string.Create(CultureInfo.InvariantCulture, $"{word} {number}");

    private static async Task ObserveAsync(IPage page) => await page.EvaluateAsync(
        """
        window.tasks = [0]; window.keys = [];
        new PerformanceObserver(list => tasks.push(...list.getEntries().map(entry => entry.duration))).observe({ type: "longtask" });
        const durations = list => list.getEntries().filter(entry => entry.name !== "keyup").map(entry => entry.duration);
        new PerformanceObserver(list => keys.push(...durations(list))).observe({ type: "event", durationThreshold: 16 });
        """);

    private static async Task<Seen> SeenAsync(IPage page) => new(
        await page.EvaluateAsync<double[]>("keys.sort((one, other) => one - other)"),
        await page.EvaluateAsync<double>("Math.max(...tasks)"));

    private static async Task<int> TypeUntilAsync(IPage page, Func<bool> isOver)
    {
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(100));
        var typed = 0;
        await page.Locator("#text").FocusAsync();
        for (; !isOver(); typed++)
        {
            await page.Keyboard.TypeAsync("k");
            await pace.WaitForNextTickAsync();
        }

        return typed;
    }

    /// <summary>What the page holds in memory, in bytes, when the garbage is gone.</summary>
    internal static async Task<double> HeapAsync(IPage page)
    {
        var session = await page.Context.NewCDPSessionAsync(page);
        await session.SendAsync("HeapProfiler.collectGarbage");
        return await page.EvaluateAsync<double>("performance.memory.usedJSHeapSize");
    }

    /// <summary>In milliseconds: keys that took 16 and more to be painted, and the longest task, 0 for none over 50.</summary>
    private sealed record Seen(double[] Keys, double LongestTask)
    {
        public double KeyP95 => Keys.Length == 0 ? 0 : Keys[(int)(.95 * (Keys.Length - 1))];

        public override string ToString() => string.Create(CultureInfo.InvariantCulture,
            $"key to painted p95 {KeyP95:0} ms, at most {(Keys.Length == 0 ? 0 : Keys[^1]):0}; longest task {LongestTask:0} ms");
    }
}
