using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Xunit.Abstractions;

namespace SimpleChat.Tests.Batteries;

/// <summary>
/// Peers at their worst, thousands of them: they come, cut off, cut off in mid-frame or mid-handshake, vanish without a word of TCP,
/// dribble, fall silent, stop reading. Whoever must be dropped is dropped, and afterwards the map is empty and no handle is left. The long
/// run:
/// <c>ROUNDS=5000 dotnet test -c Release --filter NetworkBattery</c>; a round is a visit.
/// </summary>
[Trait("Category", Battery.Category)]
public sealed class NetworkBattery(ITestOutputHelper output) : IDisposable
{
    /// <summary>Places: for those at the door, and for as many as can vanish before the first of them is missed.</summary>
    private const int AtOnce = 40, Limit = 256;

    /// <summary>More than both kernels hold for a reader that takes nothing: 8 MB.</summary>
    private const int Hoard = 140, HoardedText = 60_000;

    private const int StormOf = 2000;

    private static readonly byte[] Hi = RawWebSocket.Build(Opcode.Text, """{"to":"nobody","text":"hi"}"""u8.ToArray());

    /// <summary>Who comes, out of sixty. Those that the server needs seconds for are few, so that the short run is short.</summary>
    private static readonly Guest[] Deck =
    [
        .. Enumerable.Repeat(Guest.Proper, 10),
        .. Enumerable.Repeat(Guest.LeavesInTheHandshake, 10),
        .. Enumerable.Repeat(Guest.CutsOff, 8),
        .. Enumerable.Repeat(Guest.CutsOffInMidFrame, 8),
        .. Enumerable.Repeat(Guest.CutsOffUnanswered, 8),
        .. Enumerable.Repeat(Guest.Leaves, 6),
        .. Enumerable.Repeat(Guest.Vanishes, 5),
        .. Enumerable.Repeat(Guest.Dribbles, 3),
        Guest.FallsSilent,
        Guest.StopsReading,
    ];

    private readonly ConcurrentBag<RawWebSocket> _vanished = [];

    private enum Guest
    {
        Proper,
        LeavesInTheHandshake,
        CutsOff,
        CutsOffInMidFrame,
        CutsOffUnanswered,
        Leaves,
        Vanishes,
        Dribbles,
        FallsSilent,
        StopsReading,
    }

    [Fact]
    public async Task However_peers_come_and_go_the_map_is_empty_afterwards_and_no_handle_is_left()
    {
        var seed = Battery.Seed(output);
        var visits = Battery.Rounds(600);
        using var folder = new TempFolder();
        await using var server = await new ChatProcess
        {
            DatabasePath = folder.DatabasePath,
            ["Chat:MaxConnections"] = Limit.ToString(CultureInfo.InvariantCulture),
            ["Chat:ConnectionsPerUser"] = "1000",
            ["Chat:MessagesPerSecond"] = "0",
            ["Chat:KeepAliveInterval"] = "00:00:02",
            ["Chat:KeepAliveTimeout"] = "00:00:02",
            ["Chat:MessageTimeout"] = "00:00:00.5",
            ["Chat:SendTimeout"] = "00:00:00.5",
        }.StartAsync();
        await FillUpAsync(server);
        await AssertGoneAsync(server, "filler");
        var handles = server.Handles;

        var (alice, bob) = (new HttpUser(server.Http, "alice"), new HttpUser(server.Http, "bob"));
        await Parallel.ForEachAsync(Enumerable.Range(0, Hoard),
            async (_, _) => Assert.Equal(201, (await alice.SendAsync("hoarder", new string('x', HoardedText))).Status));
        Guest[] guests = [.. Enumerable.Range(0, visits).Select(visit => Deck[visit % Deck.Length])];
        new Random(seed).Shuffle(guests);
        var atOnce = new ParallelOptions { MaxDegreeOfParallelism = AtOnce };
        await Parallel.ForEachAsync(Enumerable.Range(0, visits), atOnce, async (visit, _) =>
        {
            await VisitAsync(server.Url, guests[visit], $"guest{visit % 7}", new Random(unchecked(seed + visit)));
            if (visit % 100 == 0)
                Assert.Equal(201, (await alice.SendAsync("bob", $"{visit}")).Status);
        });

        // All this while those that vanished hold their ends open: it is the server that has let go of them.
        for (var guest = 0; guest < 7; guest++)
            await AssertGoneAsync(server, $"guest{guest}");
        await AssertGoneAsync(server, "hoarder");
        await FillUpAsync(server); // exactly as many as at the beginning: none of the visits still counts
        await AssertGoneAsync(server, "filler");
        await Deadline.UntilAsync(() => Task.FromResult(server.Handles <= handles + 40),
            $"handles as before, {handles}; now {server.Handles}");
        Assert.Equal((visits + 99) / 100, (await bob.InboxAsync()).Count);
        output.WriteLine(
            $"{visits} visits: {string.Join(", ", guests.CountBy(guest => guest).Select(kind => $"{kind.Value} {kind.Key}"))}; " +
            $"{_vanished.Count} ends still open here; {handles} handles before, {server.Handles} after");
        Assert.DoesNotContain(server.Output, line => line.StartsWith("fail:", StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_map_and_the_gauges_return_to_zero_after_a_storm_of_thousands_that_connect_cut_off_and_connect_again()
    {
        var storms = Math.Max(1, Battery.Rounds(600) / 600);
        using var folder = new TempFolder();
        using var log = new CapturedLog();
        await using var server = new WebApplicationFactory<Program>().WithWebHostBuilder(host => host
            .UseEnvironment("Development")
            .UseSetting(WebHostDefaults.ServerUrlsKey, "http://127.0.0.1:0")
            .UseSetting("hostBuilder:reloadConfigOnChange", "false")
            .UseSetting("ConnectionStrings:Chat", $"Data Source={folder.DatabasePath}")
            .UseSetting("Chat:ConnectionsPerUser", "100000")
            .UseSetting("Chat:MessagesPerSecond", "0")
            .ConfigureLogging(logging => logging.ClearProviders().AddProvider(log)));
        server.UseKestrel();
        server.StartServer();
        var url = new Uri(server.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single());
        var registry = server.Services.GetRequiredService<Connections>();
        using var gauges = new Gauges(server.Services.GetRequiredService<IMeterFactory>());
        await using var bystander = await ChatClient.ConnectAsync(url, "bystander");

        var waited = 0;
        var guests = await ComeAsync();
        for (var storm = 0; storm < storms; storm++)
        {
            Array.ForEach(guests, guest => guest.Reset()); // all at once, and while the server sees to that they are all back
            guests = await ComeAsync();
            await Deadline.UntilAsync(() => Task.FromResult(gauges["simplechat.connections"] == StormOf + 1),
                $"{StormOf} connections and the bystander's; now {gauges["simplechat.connections"]}");
            await bystander.AssertAliveAsync();
        }

        Array.ForEach(guests, guest => guest.Reset());
        await Deadline.UntilAsync(() => Task.FromResult(gauges["simplechat.connections"] == 1),
            $"the bystander's connection alone; now {gauges["simplechat.connections"]}");
        await bystander.CloseAsync();
        await Deadline.UntilAsync(() => Task.FromResult(gauges["simplechat.connections"] == 0 && gauges["simplechat.writer.waiting"] == 0),
            "both gauges at zero");
        Assert.Equal(0, registry.Count);
        Assert.Empty(registry.All);
        Assert.Empty(log.Faults);
        Assert.True(waited > 0, "The gauge of what waits never showed anything.");
        output.WriteLine($"{storms} storms of {StormOf}; at most {waited} writes seen waiting");

        async Task<RawWebSocket[]> ComeAsync()
        {
            var came = new RawWebSocket[StormOf];
            await Parallel.ForAsync(0, StormOf, new ParallelOptions { MaxDegreeOfParallelism = 100 }, async (guest, _) =>
            {
                came[guest] = await RawWebSocket.ConnectAsync(url, $"guest{guest % 7}");
                await came[guest].BytesAsync(Hi); // there is something to write when they cut off
                if (guest % 20 == 0)
                    waited = Math.Max(waited, gauges["simplechat.writer.waiting"]);
            });
            return came;
        }
    }

    public void Dispose()
    {
        foreach (var guest in _vanished)
            guest.Dispose();
    }

    private async Task VisitAsync(Uri url, Guest kind, string user, Random random)
    {
        if (kind == Guest.LeavesInTheHandshake)
        {
            using var half = await RawHttp.ConnectAsync(url);
            var handshake = new Handshake { Target = $"/chat?user={user}" }.For(url);
            await half.Stream.WriteAsync(Encoding.ASCII.GetBytes(handshake[..random.Next(handshake.Length)])); // perhaps nothing at all
            if (random.Next(2) == 0)
                half.Reset();
            return;
        }

        if (kind == Guest.StopsReading)
        {
            // And 8 MB are on their way.
            using var reader = await RawWebSocket.ConnectAsync(url, "hoarder", "chat.ack", receiveBuffer: 4096);
            await TalkUntilCutOffAsync(reader).OrFail("the end of a reader that takes nothing");
            return;
        }

        var guest = await RawWebSocket.ConnectAsync(url, user, random.Next(2) == 0 ? "chat.ack" : null, receiveBuffer: 4096);
        if (kind == Guest.Vanishes)
        {
            _vanished.Add(guest);
            if (random.Next(2) == 0)
                await guest.BytesAsync(Hi[..random.Next(1, 3)]);
            return; // as if its cable were cut: no close frame, no FIN, no reset, no pong
        }

        using var leaving = guest;
        switch (kind)
        {
            case Guest.CutsOff:
                guest.Reset();
                break;
            case Guest.CutsOffInMidFrame:
                await guest.BytesAsync(Hi[..random.Next(1, Hi.Length)]);
                guest.Reset();
                break;
            case Guest.CutsOffUnanswered:
                for (var i = 0; i < 200; i++)
                    await guest.BytesAsync(Hi);
                guest.Reset();
                break;
            case Guest.Leaves: // without a close frame: a FIN is all that comes
                await guest.BytesAsync(Hi);
                break;
            case Guest.Dribbles:
                await DribbleUntilToldToGoAsync(guest);
                break;
            case Guest.FallsSilent: // reads, and answers no ping
                await guest.ReadToTheEndAsync().OrFail("the end of one that answers no ping");
                break;
            default:
                await guest.BytesAsync(Hi);
                await guest.CloseAsync(1000);
                await guest.AssertClosedAsync(1000);
                break;
        }
    }

    /// <summary>Goes on talking, so that no ping can find out that it does not read: only that it takes nothing can.</summary>
    private static async Task TalkUntilCutOffAsync(RawWebSocket guest)
    {
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(100));
        var ping = RawWebSocket.Build(Opcode.Text, """{"type":"ping"}"""u8.ToArray());
        while (await guest.TryBytesAsync(ping))
            await tick.WaitForNextTickAsync();
    }

    /// <summary>A byte now and then, of a message that would take minutes to be whole.</summary>
    private static async Task DribbleUntilToldToGoAsync(RawWebSocket guest)
    {
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(100));
        var told = guest.ReadUntilCloseAsync();
        foreach (var one in RawWebSocket.Build(Opcode.Text, new byte[HoardedText]))
        {
            if (told.IsCompleted || !await guest.TryBytesAsync([one]))
                break;
            await tick.WaitForNextTickAsync();
        }

        var close = await told;
        Assert.True(close is { CloseCode: 1008 },
            "One that dribbles was not told why it must go; it got " +
            $"{close?.CloseCode?.ToString(CultureInfo.InvariantCulture) ?? "no code"}.");
    }

    /// <summary>Opens as many connections as there may be, and no more: what is still counted of others would show.</summary>
    private static async Task FillUpAsync(ChatProcess server)
    {
        var (fillers, staying) = (new List<RawWebSocket>(), new List<Task>());
        try
        {
            while (fillers.Count < Limit)
            {
                fillers.Add(await RawWebSocket.ConnectAsync(server.Url, "filler"));
                staying.Add(StayAsync(fillers[^1]));
            }

            var refused = await RawHttp.AskAsync(server.Url, new Handshake { Target = "/chat?user=filler" });
            refused.AssertProblem(503);
        }
        finally
        {
            fillers.ForEach(filler => filler.Reset());
            await Task.WhenAll(staying);
        }
    }

    /// <summary>Answers pings until it is reset: nobody's place is free before the last filler has come.</summary>
    private static async Task StayAsync(RawWebSocket filler)
    {
        try
        {
            while (await filler.ReadAsync() is { } frame)
            {
                if (frame.Opcode == Opcode.Ping)
                    await filler.FrameAsync(Opcode.Pong, frame.Payload);
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            // It was reset.
        }
    }

    private static Task AssertGoneAsync(ChatProcess server, string user) =>
        Deadline.UntilAsync(async () => !await new HttpUser(server.Http, "alice").SeesOnlineAsync(user), $"{user} gone");

    /// <summary>Looks at one server's gauges, by their names; others in this process have a meter of that name too.</summary>
    private sealed class Gauges : IDisposable
    {
        private readonly MeterListener _listener = new();
        private readonly ConcurrentDictionary<string, int> _values = new();

        public Gauges(IMeterFactory meters)
        {
            _listener.InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Meter.Scope == meters && instrument.Meter.Name == Metrics.MeterName && instrument.IsObservable)
                    listener.EnableMeasurementEvents(instrument);
            };
            _listener.SetMeasurementEventCallback<int>((instrument, value, _, _) => _values[instrument.Name] = value);
            _listener.Start();
        }

        public int this[string name]
        {
            get
            {
                _listener.RecordObservableInstruments();
                return _values[name];
            }
        }

        public void Dispose() => _listener.Dispose();
    }
}
