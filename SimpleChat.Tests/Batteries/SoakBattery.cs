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
    private const int OverWebSocket = 8, OverHttp = 2, Readers = 8;

    /// <summary>Messages per second, of all users, at most: a load, and no jam, in which latency would say nothing.</summary>
    private const double Rate = 5000;

    /// <summary>Messages in all, at most: the records hold every one of them in memory.</summary>
    private const double Room = 3_000_000;

    /// <summary>
    /// A shorter run is over before a machine that has other things to do has shown all its moods: its parts are no measure for each other.
    /// </summary>
    private static readonly TimeSpan StrictFrom = TimeSpan.FromMinutes(1);

    /// <summary>Then caches are full, and memory has no reason to grow any more.</summary>
    private static readonly TimeSpan FilledAfter = TimeSpan.FromMinutes(10);

    private int _present; // connections, and requests, of users and readers

    [Fact]
    public async Task Under_load_with_churn_nothing_grows_and_nothing_slows_down()
    {
        var seed = Battery.Seed(output);
        var duration = Battery.Duration(TimeSpan.FromSeconds(8));
        using var folder = new TempFolder();
        await using var server =
            await new ChatProcess { DatabasePath = folder.DatabasePath, ["Chat:MessagesPerSecond"] = "0" }.StartAsync();
        await using var idle =
            await new ChatProcess { DatabasePath = folder.File("idle.db"), ["Chat:MessagesPerSecond"] = "0" }.StartAsync();
        string[] names = [.. Enumerable.Range(0, OverWebSocket + OverHttp).Select(i => $"user{i}")];
        var users = names.Select((name, i) => new CrashUser(name, i >= OverWebSocket, names, new Random(unchecked(seed + i)))).ToArray();
        await using var probe = await Probe.ConnectAsync(server.Url);
        await using var control = await Probe.ConnectAsync(idle.Url);
        using var enough = new CancellationTokenSource(duration);
        var share = Math.Min(Rate, Room / duration.TotalSeconds) / users.Length;
        var load = Task.WhenAll([
            .. users.Select((user, i) => ComeAndGoAsync(server, user, share, new Random(unchecked(seed - i - 1)), enough.Token)),
            .. Enumerable.Range(1, Readers)
            .Select(i => ReadAsync(server, names, probe, new Random(unchecked(seed + 1000 * i)), enough.Token)),
        ]);
        var probing = ProbeAsync(probe, control, enough.Token);
        var samples = await SampleAsync(server, enough.Token);
        await load;
        await probing;

        Part[] parts = [.. Enumerable.Range(0, 3).Select(
            third => Part.Of(Third(samples, third), Third(probe.Latencies, third), Third(control.Latencies, third)))];
        for (var i = 0; i < parts.Length; i++)
            output.WriteLine($"third {i + 1} of {duration}: {parts[i]}");
        var (first, middle, last) = (parts[0], parts[1], parts[2]);

        var stored = StoredState.Read(folder.DatabasePath);
        foreach (var user in users)
            await user.DrainAsync(server);
        var verdict = Checker.Check([.. users.Select(user => user.Record), probe.Sender, probe.Receiver], stored);
        output.WriteLine(verdict.ToString());
        Assert.Empty(verdict.Findings);

        var (factor, grace) = duration < FilledAfter ? (1.1, 32 << 20) : (1.05, 16 << 20);
        Assert.True(last.Resident < factor * middle.Resident + grace, "Memory grows.");
        Assert.True(last.Handles < middle.Handles + 32, "Handles grow.");
        Assert.True(last.Log < 96 << 20, "The write-ahead log grows.");
        var (slower, slack, worst) = duration < StrictFrom ? (3, 50, 2000) : (1.5, 5, 250);
        var machine = Math.Max(1, last.Idle.P50 / first.Idle.P50); // so much slower an idle server got
        foreach (var (before, after) in new[] { (first.Sent, last.Sent), (first.Pushed, last.Pushed) })
            Assert.True(after.P50 < machine * (slower * before.P50 + slack), "It gets slower.");
        Assert.All(parts.Where(part => part.Probes > 100), // among fewer, the slowest would be one in a hundred
            part => Assert.True(part.Excess.P99 < worst, "One in a hundred waits too long."));
    }

    /// <summary>Asks the server and an idle one at the same moments: what the machine takes of both is not the load's.</summary>
    private static async Task ProbeAsync(Probe probe, Probe control, CancellationToken enough)
    {
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        while (!enough.IsCancellationRequested)
        {
            await Task.WhenAll(probe.AskAsync(), control.AskAsync());
            await tick.WaitForNextTickAsync(CancellationToken.None);
        }
    }

    private static List<T> Third<T>(List<T> all, int third) => all[(all.Count * third / 3)..(all.Count * (third + 1) / 3)];

    /// <summary>Comes for a moment, or for some, sends as fast as it can, and is away until its share of the load is due again.</summary>
    private async Task ComeAndGoAsync(ChatProcess server, CrashUser user, double share, Random random, CancellationToken enough)
    {
        var (started, sent) = (Stopwatch.GetTimestamp(), 0);
        while (!enough.IsCancellationRequested)
        {
            var isLong = random.Next(8) == 0;
            var quota = sent + random.Next(1, isLong ? 2000 : 200);
            using var leave = CancellationTokenSource.CreateLinkedTokenSource(enough);
            leave.CancelAfter(isLong ? random.Next(1000, 3000) : random.Next(10, 100));
            Interlocked.Increment(ref _present);
            await user.ChatAsync(server, () =>
            {
                if (++sent >= quota)
                    leave.Cancel();
            }, leave.Token);
            Interlocked.Decrement(ref _present);
            var due = TimeSpan.FromSeconds(sent / share) - Stopwatch.GetElapsedTime(started);
            await PauseAsync(due > TimeSpan.Zero ? due : TimeSpan.Zero, enough);
        }
    }

    /// <summary>
    /// Users' second devices, by every way of reading. They keep no record and leave no trace: none acknowledges, and the one whose
    /// messages are delivered by writing them (on <c>chat</c>) is one whom nobody writes to.
    /// </summary>
    private async Task ReadAsync(ChatProcess server, string[] names, Probe probe, Random random, CancellationToken enough)
    {
        while (!enough.IsCancellationRequested)
        {
            var name = names[random.Next(names.Length)];
            var http = new HttpUser(server.Http, name);
            var after = Math.Max(0, probe.LastId - random.Next(2000));
            using var leave = CancellationTokenSource.CreateLinkedTokenSource(enough);
            leave.CancelAfter(random.Next(2) == 0 ? random.Next(1000, 10_000) : random.Next(10, 100));
            Interlocked.Increment(ref _present);
            switch (random.Next(6))
            {
                case 0:
                    await LookOnAsync(server.Url, Probe.From, "chat", after, random, leave.Token);
                    break;
                case 1:
                    await LookOnAsync(server.Url, name, "chat.ack", after, random, leave.Token);
                    break;
                case 2:
                    await StreamAsync(server, name, after, leave.Token);
                    break;
                case 3:
                    Assert.Equal(200, (await http.GetAsync("/inbox?wait=1")).Status);
                    // Nobody writes to that one: this waits.
                    Assert.Empty((await new HttpUser(server.Http, Probe.From).GetAsync("/inbox?wait=1")).Messages);
                    break;
                case 4:
                    for (var (before, pages) = (after + 1, 0); before > 0 && pages < 5; pages++)
                        before = (await http.GetAsync($"/messages?before={before}&limit=50")).Messages.FirstOrDefault()?.Id ?? 0;
                    Assert.Equal(200, (await http.GetAsync($"/messages?with={names[random.Next(names.Length)]}")).Status);
                    break;
                case 5:
                    await http.InboxAsync();
                    break;
            }

            Interlocked.Decrement(ref _present);
            await PauseAsync(TimeSpan.FromMilliseconds(random.Next(10, 100)), enough);
        }
    }

    private static async Task LookOnAsync(Uri url, string name, string protocol, long after, Random random, CancellationToken leave)
    {
        await using var client = await ChatClient.ConnectAsync(url, name, protocol, after);
        await using (leave.Register(() => _ = client.PingAsync()))
        {
            while ((await client.ReceiveAsync()).Type != "pong")
            {
            }
        }

        if (random.Next(2) == 0)
            await client.CloseAsync();
    }

    private static async Task StreamAsync(ChatProcess server, string name, long after, CancellationToken leave)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"/inbox/stream?user={name}");
        request.Headers.Add("Last-Event-ID", $"{after}");
        try
        {
            using var response = await server.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, leave);
            response.EnsureSuccessStatusCode();
            await response.Content.CopyToAsync(Stream.Null, leave);
            Assert.Fail("The stream ended by itself.");
        }
        catch (OperationCanceledException) when (leave.IsCancellationRequested)
        {
            // It has seen enough.
        }
    }

    /// <summary>Away, not waiting for anything.</summary>
    private static async Task PauseAsync(TimeSpan pause, CancellationToken enough) =>
        await Task.Delay(pause, enough).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

    private async Task<List<Sample>> SampleAsync(ChatProcess server, CancellationToken enough)
    {
        var samples = new List<Sample>();
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(200));
        while (!enough.IsCancellationRequested)
        {
            var log = new FileInfo(server.DatabasePath + "-wal");
            samples.Add(new Sample(server.ResidentBytes, server.Handles, log.Exists ? log.Length : 0, Volatile.Read(ref _present)));
            await tick.WaitForNextTickAsync(CancellationToken.None);
        }

        return samples;
    }

    /// <summary>
    /// One message at a time, between two users of its own who stay: how long it takes until it is confirmed, and until it is pushed.
    /// </summary>
    private sealed class Probe : IAsyncDisposable
    {
        public const string From = "probe", To = "echo";

        private readonly ChatClient _sender, _receiver;
        private long _lastId;

        private Probe(ChatClient sender, ChatClient receiver)
        {
            (_sender, _receiver) = (sender, receiver);
            Receiver.Connects();
        }

        public Record Sender { get; } = new(From);

        public Record Receiver { get; } = new(To);

        public List<(double Sent, double Pushed)> Latencies { get; } = [];

        /// <summary>The last message's id: about where everybody's are.</summary>
        public long LastId => Volatile.Read(ref _lastId);

        public static async Task<Probe> ConnectAsync(Uri url) =>
            new(await ChatClient.ConnectAsync(url, From, "chat"), await ChatClient.ConnectAsync(url, To, "chat.ack"));

        public async ValueTask DisposeAsync()
        {
            await _sender.DisposeAsync();
            await _receiver.DisposeAsync();
        }

        public async Task AskAsync()
        {
            var (name, text) = ($"{Latencies.Count}", $"{From} {Latencies.Count}");
            Sender.Sends(To, text, name);
            var asked = Stopwatch.GetTimestamp();
            await _sender.SendAsync(To, text, name);
            var pushing = TimeAsync(_receiver.ExpectAsync("message"), asked);
            var (sent, confirmed) = await TimeAsync(SentAsync(), asked);
            var (message, pushed) = await pushing;
            Latencies.Add((confirmed, pushed));

            Assert.Equal((sent.Id, text), (message.Id, message.Body));
            Sender.WasConfirmed(name, sent.Id, sent.SentAt.ToUnixTimeMilliseconds());
            Receiver.Received(message.Id, message.From, message.Body, message.SentAt.ToUnixTimeMilliseconds());
            Receiver.Acknowledges(message.Id);
            await _receiver.AckAsync(message.Id);
            Volatile.Write(ref _lastId, sent.Id);
        }

        private async Task<Frame> SentAsync()
        {
            while (await _sender.ReceiveAsync() is var frame)
            {
                if (frame.Type != "delivered")
                    return frame;
                Sender.WasToldDelivered(frame.Id);
            }

            throw new UnreachableException();
        }

        private static async Task<(Frame Frame, double Milliseconds)> TimeAsync(Task<Frame> coming, long since) =>
            (await coming, Stopwatch.GetElapsedTime(since).TotalMilliseconds);
    }

    private static double Both((double Sent, double Pushed) latency) => Math.Max(latency.Sent, latency.Pushed);

    private readonly record struct Sample(long Resident, int Handles, long Log, int Present);

    /// <summary>A part of the run: the highest of what may not grow.</summary>
    /// <param name="Probes">How many times the latencies are of.</param>
    /// <param name="Sent">Until a message is confirmed.</param>
    /// <param name="Pushed">Until it is pushed.</param>
    /// <param name="Idle">Until one is both at a server that is idle.</param>
    /// <param name="Excess">Until one is both: longer by this than one of the same moment at the idle server.</param>
    /// <param name="Resident">Bytes.</param>
    /// <param name="Handles">Files and sockets.</param>
    /// <param name="Log">The write-ahead log's bytes.</param>
    /// <param name="Present">Users and readers, on average.</param>
    private sealed record Part(
        int Probes, Latency Sent, Latency Pushed, Latency Idle, Latency Excess, long Resident, int Handles, long Log, double Present)
    {
        public static Part Of(
            List<Sample> samples, List<(double Sent, double Pushed)> latencies, List<(double Sent, double Pushed)> idle) => new(
            latencies.Count, Latency.Of(latencies.Select(latency => latency.Sent)), Latency.Of(latencies.Select(latency => latency.Pushed)),
            Latency.Of(idle.Select(Both)), Latency.Of(latencies.Select(Both).Zip(idle.Select(Both), (loaded, control) => loaded - control)),
            samples.Max(sample => sample.Resident), samples.Max(sample => sample.Handles), samples.Max(sample => sample.Log),
            samples.Average(sample => sample.Present));

        public override string ToString() =>
            $"sent {Sent}, pushed {Pushed}; at an idle server {Idle}, more by {Excess}; " +
            $"{Resident >> 20} MiB resident, {Handles} handles, {Log >> 20} MiB of log, {Present:F1} present";
    }
}
