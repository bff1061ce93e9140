using System.Collections.Concurrent;
using System.Text.RegularExpressions;
using Microsoft.Playwright;
using SimpleChat.Lab;
using static Microsoft.Playwright.Assertions;

namespace SimpleChat.Tests.Lab;

/// <summary>One Lab, with the real server behind it, and one browser for all tests of its page.</summary>
public sealed class LabPageFixture : IAsyncLifetime
{
    /// <summary>No test takes half as long, the ten lessons apart.</summary>
    private static readonly TimeSpan Longest = 10 * Deadline.Time;

    private readonly Browser _browser = new();
    private LabHost? _lab;

    /// <summary>Where the page is.</summary>
    internal Uri Url => _lab?.Url ?? throw new InvalidOperationException(Browser.Missing);

    public async Task InitializeAsync()
    {
        if (Browser.Missing is not null)
            return;
        _lab = await LabHost.StartAsync(0, null, _ => { });
        await _browser.InitializeAsync();
    }

    public async Task DisposeAsync()
    {
        await _browser.DisposeAsync();
        if (_lab is not null)
            await _lab.DisposeAsync();
    }

    /// <summary>
    /// Shows a test the page on a fresh run, as on a projector, with alice and bob connected. Nothing is in slow motion, in no lesson
    /// either. The test ends, whatever happens in it, and fails if a script of the page did.
    /// </summary>
    internal async Task OpenAsync(Func<IPage, Task> test, ColorScheme scheme = ColorScheme.Light)
    {
        var errors = new ConcurrentQueue<string>();
        try
        {
            await RunAsync().WaitAsync(Longest);
        }
        finally
        {
            await _browser.CloseAsync();
            Assert.Empty(errors); // instead of what failed afterwards: it failed because of them
        }

        async Task RunAsync()
        {
            var context = await _browser.NewContextAsync(scheme, 1280, 720);
            var page = await context.NewPageAsync();
            page.PageError += (_, error) => errors.Enqueue(error); // an exception here would end Playwright's own loop
            await page.GotoAsync(Url.AbsoluteUri);
            await Expect(page.Locator("#status")).ToHaveTextAsync("Live");
            var server = page.Locator("#server .is");
            await Expect(server).ToHaveTextAsync(new Regex("pid|killed")); // as the test before has left it
            var before = await server.InnerTextAsync();
            await page.EvaluateAsync("document.getElementById('fresh').click()");
            await Expect(server).Not.ToHaveTextAsync(before); // another process
            await Expect(server).ToContainTextAsync("up, pid");
            foreach (var who in (string[])["alice", "bob"])
                await Expect(page.Locator($"#{who} .is")).ToHaveTextAsync("online");
            for (var i = 0; i < 4; i++)
                await page.Keyboard.PressAsync("t"); // half a second, one, two, off
            await test(page);
        }
    }

    /// <summary>The newest entries of the run: what a failed test is to be understood by.</summary>
    internal async Task<string> RecordAsync()
    {
        using var client = new HttpClient();
        var lines = (await client.GetStringAsync(new Uri(Url, "run.jsonl"))).Split('\n');
        return string.Join('\n', lines.TakeLast(20).Select(line => line[..Math.Min(line.Length, 200)]));
    }
}

/// <summary>Its tests run one after the other: they share the Lab.</summary>
[CollectionDefinition(Name)]
public sealed class OneLab : ICollectionFixture<LabPageFixture>
{
    public const string Name = "The Lab's page";
}
