using System.Diagnostics;
using Xunit.Abstractions;

namespace SimpleChat.Tests.Batteries;

/// <summary>
/// Mixed load with churn, for as long as one likes: nothing grows, and the last message is as fast as the first. The long run:
/// <c>MINUTES=30 dotnet test -c Release --filter SoakBattery</c>.
/// </summary>
[Trait("Category", Battery.Category)]
public sealed class SoakBattery(ITestOutputHelper output)
{
    private const int OverWebSocket = 8, OverHttp = 2;

    [Fact]
    public async Task Under_load_with_churn_nothing_grows_and_nothing_slows_down()
    {
        var seed = Battery.Seed(output);
        var duration = Battery.Duration(TimeSpan.FromSeconds(8));
        var away = duration / 225; // at most, each time: so that a longer run's records have room in memory too
        using var folder = new TempFolder();
        await using var server = await new ChatProcess { DatabasePath = folder.DatabasePath, ["Chat:MessagesPerSecond"] = "0" }.StartAsync();
        string[] names = [.. Enumerable.Range(0, OverWebSocket + OverHttp).Select(i => $"user{i}")];
        var users = names.Select((name, i) => new CrashUser(name, i >= OverWebSocket, names, new Random(unchecked(seed + i)))).ToArray();
        using var enough = new CancellationTokenSource(duration);
        var load = Task.WhenAll(users.Select((user, i) => ComeAndGoAsync(server, user, away, new Random(unchecked(seed - i - 1)), enough.Token)));
        var samples = await SampleAsync(server, enough.Token);
        await load;

        var third = samples.Count / 3;
        var (first, middle, last) = (Sample.Worst(samples[..third]), Sample.Worst(samples[third..(2 * third)]), Sample.Worst(samples[(2 * third)..]));
        foreach (var (part, sample) in new[] { ("first", first), ("middle", middle), ("last", last) })
            output.WriteLine($"{part} third of {duration}: {sample}");

        var stored = StoredState.Read(folder.DatabasePath);
        foreach (var user in users)
            await user.DrainAsync(server);
        var verdict = Checker.Check([.. users.Select(user => user.Record)], stored);
        output.WriteLine(verdict.ToString());
        Assert.Empty(verdict.Findings);
        Assert.True(last.Resident < 1.1 * middle.Resident + (32 << 20), "Memory grows.");
        Assert.True(last.Handles < middle.Handles + 32, "Handles grow.");
        Assert.True(last.Log < 96 << 20, "The write-ahead log grows.");
        Assert.True(last.Latency < 3 * first.Latency + TimeSpan.FromMilliseconds(50), "It gets slower.");
    }

    private static async Task ComeAndGoAsync(ChatProcess server, CrashUser user, TimeSpan longest, Random random, CancellationToken enough)
    {
        while (!enough.IsCancellationRequested)
        {
            using var leave = CancellationTokenSource.CreateLinkedTokenSource(enough);
            leave.CancelAfter(random.Next(10, 100));
            await user.ChatAsync(server, () => { }, leave.Token);
            var pause = Task.Delay(random.Next((int)longest.TotalMilliseconds), enough); // away, not waiting for anything
            await pause.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private static async Task<List<Sample>> SampleAsync(ChatProcess server, CancellationToken enough)
    {
        var samples = new List<Sample>();
        await using var probe = await ChatClient.ConnectAsync(server.Url, "probe");
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(200));
        while (!enough.IsCancellationRequested)
        {
            var started = Stopwatch.GetTimestamp();
            await probe.PingAsync();
            await probe.ExpectAsync("pong");
            var log = new FileInfo(server.DatabasePath + "-wal");
            samples.Add(new Sample(Stopwatch.GetElapsedTime(started), server.ResidentBytes, server.Handles, log.Exists ? log.Length : 0));
            await tick.WaitForNextTickAsync(CancellationToken.None);
        }

        return samples;
    }

    private sealed record Sample(TimeSpan Latency, long Resident, int Handles, long Log)
    {
        /// <summary>The median latency, and the highest of the rest.</summary>
        public static Sample Worst(List<Sample> samples) => new(
            samples.Select(sample => sample.Latency).Order().ElementAt(samples.Count / 2),
            samples.Max(sample => sample.Resident), samples.Max(sample => sample.Handles), samples.Max(sample => sample.Log));

        public override string ToString() =>
            $"ping p50 {Latency.TotalMilliseconds:F2} ms, {Resident >> 20} MiB resident, {Handles} handles, {Log >> 20} MiB of log";
    }
}
