using System.Diagnostics;
using System.Globalization;
using SimpleChat.Tests.Batteries;
using Xunit.Abstractions;

namespace SimpleChat.Tests.ThePage;

/// <summary>
/// How fast the page is, measured by the browser: long tasks (https://www.w3.org/TR/longtasks-1/) and the time from a key to its painting
/// (https://www.w3.org/TR/event-timing/). The figures are printed; the bounds leave room for a machine that has other things to do.
/// The server is a process of its own: the published one where there is one (<see cref="PublishTests.Folder"/>).
/// </summary>
[Collection(PageTests.Name)]
[Trait("Category", Battery.Category)]
public sealed class SpeedTests(PageFixture fixture, ITestOutputHelper output)
{
    private const string IsOpen = "document.getElementById('status').textContent.includes('Connected by WebSocket.')";
    private const string LastShown = "[...document.querySelectorAll('.message .body')].at(-1)?.textContent";

    /// <summary>How long the flood lasts, unless SECONDS says otherwise.</summary>
    private static readonly double Seconds = Battery.Part(TimeSpan.FromSeconds(4)).TotalSeconds;

    /// <summary>Messages in the conversation before the flood: fifty thousand when it lasts a minute.</summary>
    private static readonly int Long = Seconds < 60 ? 5_000 : 50_000;

    /// <summary>
    /// In the second half of it "On the wire" is open. A minute each: <c>SECONDS=120 dotnet test -c Release --filter
    /// A_thousand_messages_a_second</c>.
    /// </summary>
    [BrowserFact]
    public async Task A_thousand_messages_a_second_into_a_long_conversation_leave_the_page_quick()
    {
        const int Rate = 1000;
        using var folder = new TempFolder();
        await using var server = await Server(folder, isLimited: false).StartAsync();
        await PageFixture.SendAsync(server.Url, "bob", "alice", Long);
        await using var page = await OpenAsync(server.Url, Text("Message", Long));
        await ObserveAsync(page);
        var heap = await page.HeapAsync();

        var (count, started) = ((int)(Seconds * Rate), Stopwatch.GetTimestamp());
        var typing = TypeAsync();
        await using var bob = await ChatClient.ConnectAsync(server.Url, "bob", "chat.ack");
        var stored = PageFixture.StoredAsync(bob, count);
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        for (var sent = 0; sent < count; await pace.WaitForNextTickAsync())
        {
            for (var due = Math.Min(count, Stopwatch.GetElapsedTime(started).TotalSeconds * Rate); sent < due; sent++)
                await bob.SendAsync("alice", Text("Flood", sent + 1));
        }

        await stored;
        var (closed, open) = await typing;
        var ended = Stopwatch.GetTimestamp();
        await page.UntilAsync($"{LastShown} === '{Text("Flood", count)}'");
        var behind = Stopwatch.GetElapsedTime(ended);
        var elements = await page.EvaluateAsync<int>("document.querySelectorAll('*').length");
        var grown = await page.HeapAsync() - heap;
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{count} messages in {Seconds} s, after {Long}; all shown {behind.TotalMilliseconds:0} ms after the last; {closed}; " +
            $"with the drawer open {open}; {elements} elements; heap grew by {grown / 1e6:0.0} MB"));
        var typed = closed.Keys.Length + open.Keys.Length;
        Assert.Equal(new string('k', typed), await page.EvaluateAsync<string>("document.getElementById('text').value"));
        Assert.True(closed.KeyP95 < 400 && open.KeyP95 < 400, "A key waits too long.");
        Assert.True(closed.LongestTask < 1000 && open.LongestTask < 1000, "A task is too long.");
        Assert.True(elements < 3000, "The document grows.");
        Assert.True(grown < 25_000_000, "Memory grows.");
        Assert.True(behind < TimeSpan.FromSeconds(5), "It falls behind.");

        async Task<(Seen Closed, Seen Open)> TypeAsync()
        {
            var closed = await SeenAsync(page, await TypeUntilAsync(page, () => IsAfter(Seconds / 2)));
            await page.EvaluateAsync<bool>("document.getElementById('wire-toggle').click(), document.getElementById('text').focus(), true");
            return (closed, await SeenAsync(page, await TypeUntilAsync(page, () => IsAfter(Seconds))));
        }

        bool IsAfter(double seconds) => Stopwatch.GetElapsedTime(started).TotalSeconds >= seconds;
    }

    [BrowserFact]
    public async Task Ten_thousand_messages_are_caught_up_with_in_no_time()
    {
        const int Missed = 10_000;
        using var folder = new TempFolder();
        await using var before = await Server(folder, isLimited: false).StartAsync();
        await PageFixture.SendAsync(before.Url, "bob", "alice", 10);
        await using var page = await OpenAsync(before.Url, "Message 10");
        before.Terminate();
        await before.ExitAsync();
        await page.UntilAsync("document.getElementById('status').textContent.includes('No connection.')");
        await using (var meanwhile = await Server(folder, isLimited: false).StartAsync())
        {
            await PageFixture.SendAsync(meanwhile.Url, "bob", "alice", Missed);
            meanwhile.Terminate();
            await meanwhile.ExitAsync();
        }

        await ObserveAsync(page);
        var catchingUp = page.EvaluateAsync<double>(
            $$"""
            new Promise(done => {
              let opened = null;
              const look = () => {
                if ({{IsOpen}})
                  opened ??= performance.now();
                if ({{LastShown}} === "{{Text("Message", Missed)}}")
                  done(performance.now() - opened);
                else
                  requestAnimationFrame(look);
              };
              look();
            })
            """);
        var after = Server(folder, isLimited: true);
        after["urls"] = before.Url.AbsoluteUri;
        await using var server = await after.StartAsync();
        await page.EvaluateAsync<bool>("document.getElementById('retry').click(), true");
        var took = await catchingUp;
        var seen = await SeenAsync(page, typed: 0);
        output.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"{Missed} messages caught up with in {took:0} ms; longest task {seen.LongestTask:0} ms"));
        Assert.Equal("99+ new ↓", await page.EvaluateAsync<string>("document.getElementById('newest-text').textContent"));
        Assert.True(took < 10_000, "It takes too long.");
        Assert.True(seen.LongestTask < 1000, "A task is too long.");
        var alice = new HttpUser(server.Http, "alice");
        await Deadline.UntilAsync(async () => (await alice.InboxAsync()).Count == 0, "an empty inbox: all of it was acknowledged");
    }

    private static ChatProcess Server(TempFolder folder, bool isLimited)
    {
        var server = new ChatProcess
        {
            DatabasePath = folder.DatabasePath,
            ProgramFolder = PublishTests.Folder ?? AppContext.BaseDirectory,
            ["urls"] = LoopbackPort.FreeUrl(),
        };
        if (!isLimited)
            server["Chat:MessagesPerSecond"] = "0";
        return server;
    }

    /// <summary>alice's page, at the end of bob's conversation, with the keyboard in the composer.</summary>
    private async Task<QuietTab> OpenAsync(Uri server, string last)
    {
        var page = await fixture.Browser.OpenQuietlyAsync(server, "alice", "bob");
        await page.UntilAsync($"{IsOpen} && {LastShown} !== undefined");
        await page.EvaluateAsync<bool>("document.getElementById('text').focus(), true");
        await page.PressAsync("Escape");
        await page.UntilAsync($"{LastShown} === '{last}'");
        return page;
    }

    private static string Text(string word, int number) => string.Create(CultureInfo.InvariantCulture, $"{word} {number}");

    private static async Task ObserveAsync(QuietTab page) => await page.EvaluateAsync<bool>(
        """
        window.tasks = [0]; window.keys = [];
        new PerformanceObserver(list => tasks.push(...list.getEntries().map(entry => entry.duration))).observe({ type: "longtask" });
        const durations = list => list.getEntries().filter(entry => entry.name === "keydown").map(entry => entry.duration);
        new PerformanceObserver(list => keys.push(...durations(list))).observe({ type: "event", durationThreshold: 16 });
        true
        """);

    /// <summary>What was seen since it was asked for last.</summary>
    private static async Task<Seen> SeenAsync(QuietTab page, int typed)
    {
        var slow = await page.EvaluateAsync<double[]>("keys.splice(0).sort((one, other) => one - other)");
        var keys = Enumerable.Repeat(0d, Math.Max(0, typed - slow.Length)).Concat(slow.TakeLast(typed)); // no quicker ones are named
        return new([.. keys], await page.EvaluateAsync<double>("Math.max(0, ...tasks.splice(0))"));
    }

    private static async Task<int> TypeUntilAsync(QuietTab page, Func<bool> isOver)
    {
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(100));
        var typed = 0;
        for (; !isOver(); typed++)
        {
            await page.PressAsync("k");
            await pace.WaitForNextTickAsync();
        }

        return typed;
    }

    /// <summary>In milliseconds: how long each key took to be painted, and the longest task, 0 for none over 50.</summary>
    private sealed record Seen(double[] Keys, double LongestTask)
    {
        public double KeyP95 => Keys.Length == 0 ? 0 : Keys[(int)(.95 * (Keys.Length - 1))];

        public override string ToString() => string.Create(CultureInfo.InvariantCulture,
            $"key to painted p95 {KeyP95:0} ms, at most {(Keys.Length == 0 ? 0 : Keys[^1]):0}; longest task {LongestTask:0} ms");
    }
}
