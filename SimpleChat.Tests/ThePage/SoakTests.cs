using System.Globalization;
using Microsoft.Playwright;
using SimpleChat.Tests.Batteries;
using Xunit.Abstractions;
using static Microsoft.Playwright.Assertions;

namespace SimpleChat.Tests.ThePage;

/// <summary>
/// The page in use, with everything that comes and goes: nothing is lost or doubled, nothing grows. Ten minutes of it:
/// <c>SECONDS=600 dotnet test --filter The_page_stays_right_and_small</c>.
/// </summary>
[Collection(PageTests.Name)]
[Trait("Category", Battery.Category)]
public sealed class SoakTests(PageFixture fixture, ITestOutputHelper output) : IAsyncLifetime
{
    private static readonly double Seconds = Battery.Part(TimeSpan.FromSeconds(4)).TotalSeconds;

    private readonly string _alice = PageFixture.Name("alice");
    private readonly string[] _others = [.. Enumerable.Range(0, 6).Select(_ => PageFixture.Name("other"))];

    public Task InitializeAsync() => Task.CompletedTask;

    public Task DisposeAsync() => fixture.CloseAsync();

    [BrowserFact]
    public async Task The_page_stays_right_and_small_while_people_and_the_network_come_and_go()
    {
        var seed = Battery.Seed(output);
        var random = new Random(seed);
        await using var network = new Network(fixture.Url);
        foreach (var other in _others)
            await fixture.SendAsync(other, _alice, 30);
        var page = await fixture.OpenAsync(await fixture.ContextAsync(), _alice, _others[0], network.Url);
        var before = await HeapAsync(page);

        using var enough = new CancellationTokenSource(TimeSpan.FromSeconds(Seconds));
        var load = LoadAsync(new Random(seed + 1), enough.Token);
        var (written, cuts) = (0, 0);
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        while (!enough.IsCancellationRequested)
        {
            await pace.WaitForNextTickAsync();
            switch (random.Next(8))
            {
                case 0:
                    await page.Locator($"[data-other={_others[random.Next(_others.Length)]}]").ClickAsync();
                    break;
                case 1:
                    await page.Locator("#scroll").EvaluateAsync($"node => node.scrollTop -= {random.Next(2000)}");
                    break;
                case 2:
                    await page.Locator("#wire-toggle").ClickAsync();
                    break;
                case 3:
                    await page.Locator("#text").PressAsync("Escape");
                    break;
                case 4 when cuts < Seconds / 4:
                    network.Cut();
                    await Expect(page.Locator("#retry")).ToBeVisibleAsync();
                    network.Mend();
                    await page.Locator("#retry").DispatchEventAsync("click");
                    cuts++;
                    break;
                case 5:
                    await page.SetViewportSizeAsync(random.Next(900, 1400), random.Next(400, 900));
                    break;
                default:
                    if (await page.Locator("#text").IsVisibleAsync())
                    {
                        await page.Locator("#text").FillAsync($"Said {(++written).ToString(CultureInfo.InvariantCulture)}");
                        await page.Locator("#text").PressAsync("Enter");
                    }

                    break;
            }
        }

        var sent = await load;
        await page.Locator("#retry").DispatchEventAsync("click");
        await Expect(page.Locator("#status")).ToHaveTextAsync("Connected by WebSocket.", new() { Timeout = 40_000 });
        var alice = fixture.User(_alice);
        await Deadline.UntilAsync(async () => (await alice.InboxAsync()).Count == 0, "an empty inbox: all of it was acknowledged");
        await Deadline.UntilAsync(async () => await StoredAsync() == written, "all that was written is stored, and once");
        await Expect(page.Locator(".message.waiting")).ToHaveCountAsync(0);
        await page.SetViewportSizeAsync(1280, 800);
        foreach (var other in _others)
        {
            await page.Locator($"[data-other={other}]").ClickAsync();
            await page.Locator("#text").PressAsync("Escape");
            var last = (await alice.GetAsync($"/messages?with={other}&limit=20")).Messages.Select(message => message.Body).ToArray();
            await Deadline.UntilAsync(
                async () => (await page.Locator(".message .body").AllTextContentsAsync()).TakeLast(20).SequenceEqual(last),
                "what the server has");
        }

        await Expect(page).ToHaveTitleAsync($"{_alice} – SimpleChat");
        var grown = await HeapAsync(page) - before;
        var elements = await page.EvaluateAsync<int>("document.querySelectorAll('*').length");
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{Seconds} s: {sent} came, {written} written, {cuts} cuts; heap grew by {grown / 1e6:0.0} MB, {elements} elements"));
        Assert.True(grown < 25_000_000, "Memory grows.");
        Assert.True(elements < 3000, "The document grows.");
    }

    /// <summary>What the page holds in memory, in bytes, when the garbage is gone.</summary>
    private static async Task<double> HeapAsync(IPage page)
    {
        var session = await page.Context.NewCDPSessionAsync(page);
        await session.SendAsync("HeapProfiler.collectGarbage");
        return await page.EvaluateAsync<double>("performance.memory.usedJSHeapSize");
    }

    /// <summary>The others write now and then, each for a moment at a time.</summary>
    private async Task<int> LoadAsync(Random random, CancellationToken enough)
    {
        var sent = 0;
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(100));
        while (!enough.IsCancellationRequested)
        {
            var count = random.Next(1, 60);
            await fixture.SendAsync(_others[random.Next(_others.Length)], _alice, count);
            sent += count;
            await pace.WaitForNextTickAsync(CancellationToken.None); // to the end of it
        }

        return sent;
    }

    /// <summary>How many of alice's messages there are, each counted once for each time that it is there.</summary>
    private async Task<int> StoredAsync()
    {
        var (count, before) = (0, "");
        while (true)
        {
            var page = await fixture.User(_alice).GetAsync($"/messages?limit=200{before}");
            count += page.Messages.Count(message => message.From == _alice);
            if (!page.HasMore)
                return count;
            before = $"&before={page.Messages[0].Id.ToString(CultureInfo.InvariantCulture)}";
        }
    }
}
