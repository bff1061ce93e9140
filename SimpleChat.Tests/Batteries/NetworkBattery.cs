using Xunit.Abstractions;

namespace SimpleChat.Tests.Batteries;

/// <summary>
/// Peers at their worst, thousands of them: they come, cut off, cut off in mid-frame or mid-handshake, dribble, fall silent, stop reading.
/// Afterwards the map is empty and no handle is left. The long run: <c>ROUNDS=20000 dotnet test -c Release --filter NetworkBattery</c>; a round
/// is a visit.
/// </summary>
[Trait("Category", Battery.Category)]
public sealed class NetworkBattery(ITestOutputHelper output)
{
    private const int AtOnce = 40, Limit = 128;

    [Fact]
    public async Task However_peers_come_and_go_the_map_is_empty_afterwards_and_no_handle_is_left()
    {
        var seed = Battery.Seed(output);
        var visits = Battery.Rounds(600);
        using var folder = new TempFolder();
        await using var server = await new ChatProcess
        {
            DatabasePath = folder.DatabasePath,
            ["Chat:MaxConnections"] = Limit.ToString(System.Globalization.CultureInfo.InvariantCulture),
            ["Chat:ConnectionsPerUser"] = "1000",
            ["Chat:MessagesPerSecond"] = "0",
            ["Chat:KeepAliveInterval"] = "00:00:02",
            ["Chat:KeepAliveTimeout"] = "00:00:02",
            ["Chat:MessageTimeout"] = "00:00:00.5",
            ["Chat:SendTimeout"] = "00:00:00.5",
        }.StartAsync();
        await FillUpAsync(server);
        await Deadline.UntilAsync(async () => !await IsOnlineAsync(server, "filler"), "the fillers' end");
        var handles = server.Handles;

        var (alice, bob) = (new HttpUser(server.Http, "alice"), new HttpUser(server.Http, "bob"));
        await Parallel.ForEachAsync(Enumerable.Range(0, visits), new ParallelOptions { MaxDegreeOfParallelism = AtOnce }, async (visit, _) =>
        {
            await VisitAsync(server.Url, $"guest{visit % 7}", new Random(unchecked(seed + visit)));
            if (visit % 100 == 0)
                Assert.Equal(201, (await alice.SendAsync("bob", $"{visit}")).Status);
        });

        for (var guest = 0; guest < 7; guest++)
            await Deadline.UntilAsync(async () => !await IsOnlineAsync(server, $"guest{guest}"), $"guest{guest} gone");
        await FillUpAsync(server); // exactly as many as at the beginning: none of the visits still counts
        await Deadline.UntilAsync(async () => !await IsOnlineAsync(server, "filler"), "the fillers' end");
        await Deadline.UntilAsync(() => Task.FromResult(server.Handles <= handles + 40), $"handles as before, {handles}; now {server.Handles}");
        Assert.Equal((visits + 99) / 100, (await bob.InboxAsync()).Count);
        output.WriteLine($"{visits} visits; {handles} handles before, {server.Handles} after");
        Assert.DoesNotContain(server.Output, line => line.StartsWith("fail:", StringComparison.Ordinal));
    }

    private static async Task VisitAsync(Uri url, string user, Random random)
    {
        if (random.Next(6) == 0)
        {
            using var half = await RawHttp.ConnectAsync(url); // leaves in the middle of the handshake, or says nothing at all
            var handshake = new Handshake { Target = $"/chat?user={user}" }.For(url);
            await half.Stream.WriteAsync(System.Text.Encoding.ASCII.GetBytes(handshake[..random.Next(handshake.Length)]));
            if (random.Next(2) == 0)
                half.Reset();
            return;
        }

        using var guest = await RawWebSocket.ConnectAsync(url, user, random.Next(2) == 0 ? "chat.ack" : null, receiveBuffer: 4096);
        var frame = RawWebSocket.Build(Opcode.Text, """{"to":"nobody","text":"hi"}"""u8.ToArray());
        switch (random.Next(61) / 10)
        {
            case 0: // as it should be
                await guest.BytesAsync(frame);
                await guest.CloseAsync(1000);
                await guest.ReadUntilCloseAsync();
                break;
            case 1: // cuts off at once
                guest.Reset();
                break;
            case 2: // cuts off in mid-frame
                await guest.BytesAsync(frame[..random.Next(1, frame.Length)]);
                guest.Reset();
                break;
            case 3: // vanishes without a close frame
                await guest.BytesAsync(frame);
                break;
            case 4: // a byte now and then, until it is told to go
                await DribbleAsync(guest, frame);
                break;
            case 6: // says nothing and answers no ping, until it is dropped
                while (await guest.ReadAsync() is { Opcode: not Opcode.Close })
                {
                }

                break;
            default: // asks and asks, and reads nothing
                for (var i = 0; i < 200; i++)
                    await guest.BytesAsync(frame);
                guest.Reset();
                break;
        }
    }

    private static async Task DribbleAsync(RawWebSocket guest, byte[] frame)
    {
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(100));
        try
        {
            foreach (var one in frame[..12]) // more than a second: past Chat:MessageTimeout
            {
                await guest.BytesAsync([one]);
                await tick.WaitForNextTickAsync();
            }
        }
        catch (IOException)
        {
            // It was told to go.
        }
    }

    /// <summary>Opens as many connections as there may be, and no more: what is still counted of others would show.</summary>
    private static async Task FillUpAsync(ChatProcess server)
    {
        var fillers = new List<RawWebSocket>();
        try
        {
            while (fillers.Count < Limit)
                fillers.Add(await RawWebSocket.ConnectAsync(server.Url, "filler"));
            var refused = await RawHttp.AskAsync(server.Url, new Handshake { Target = "/chat?user=filler" });
            refused.AssertProblem(503);
        }
        finally
        {
            fillers.ForEach(filler => filler.Reset());
        }
    }

    private static Task<bool> IsOnlineAsync(ChatProcess server, string user) => new HttpUser(server.Http, "alice").SeesOnlineAsync(user);
}
