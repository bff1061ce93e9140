using System.Diagnostics;
using System.Globalization;
using Microsoft.Data.Sqlite;
using Xunit.Abstractions;

namespace SimpleChat.Tests.Batteries;

/// <summary>
/// I2 and I4, where much is on its way and the reader is not what one wishes: what is called delivered was delivered, who reads slowly is
/// not taken for one who does not, and a close frame arrives. The long run:
/// <c>ROUNDS=50 dotnet test -c Release --filter DeliveryBattery</c>.
/// </summary>
[Trait("Category", Battery.Category)]
public sealed class DeliveryBattery(ITestOutputHelper output)
{
    /// <summary>One message's text, and how many of them are more than both kernels hold for a reader that takes nothing.</summary>
    private const int TextLength = 1000, Hoard = 2000;

    /// <summary>The slow readers' times are shorter than the server's own defaults by this, and their bytes come faster by this.</summary>
    private const int Hurry = 15;

    [Fact]
    public async Task I2_After_kill_minus_9_what_was_confirmed_is_in_the_inbox_or_in_the_socket_of_a_stalled_reader()
    {
        var random = new Random(Battery.Seed(output));
        var (inInbox, inSocket) = (0, 0);
        for (var round = 0; round < Battery.Rounds(3); round++)
        {
            using var folder = new TempFolder();
            await using var server = await StartAsync(folder.DatabasePath);
            using var bob = await RawWebSocket.ConnectAsync(server.Url, "bob", WebSocketEndpoint.Plain, receiveBuffer: 4096);
            var confirmed = await HoardAsync(server.Url, 600, atOnce: 1 + random.Next(8)); // few in a commit, so few in a write
            await Task.Delay(random.Next(300)); // a random moment, not a wait for something
            server.Kill();
            await server.ExitAsync();

            var read = await MessagesAsync(bob, int.MaxValue);
            var waiting = StoredState.Read(folder.DatabasePath).Inbox.Select(row => row.Id).ToHashSet();
            var lost = confirmed.Except(read).Except(waiting).ToList();
            Assert.True(lost.Count == 0, $"{lost.Count} are neither in the inbox nor in the socket; the first is {lost.FirstOrDefault()}.");
            (inInbox, inSocket) = (inInbox + waiting.Count, inSocket + read.Count);
        }

        output.WriteLine($"{inInbox} in inboxes, {inSocket} in sockets");
        Assert.True(inInbox > 0 && inSocket > 0, "The reader had not stalled.");
    }

    [Fact]
    public async Task I2_Once_a_peer_has_cut_off_nothing_leaves_its_inbox_any_more()
    {
        var leaked = new List<string>();
        using var folder = new TempFolder();
        await using var server = await StartAsync(folder.DatabasePath);
        var alice = new HttpUser(server.Http, "alice");
        for (var round = 0; round < Battery.Rounds(4); round++)
        {
            var name = $"bob{round}";
            using var bob = await RawWebSocket.ConnectAsync(server.Url, name, WebSocketEndpoint.Plain, receiveBuffer: 4096);
            var factor = round % 2 == 0 ? 1 : 20; // fewer and larger
            await HoardAsync(server.Url, 600 / factor, TextLength * factor, atOnce: 1, to: name); // one in a write, which gets stuck
            await MessagesAsync(bob, 1);
            var before = await SettledAsync(server, name);

            bob.Reset();
            await Deadline.UntilAsync(async () => !await alice.SeesOnlineAsync(name), "bob gone");
            Assert.Equal(201, (await alice.SendAsync("carol", "after whatever the server had still to write")).Status);
            var after = await SettledAsync(server, name);
            output.WriteLine($"{before} undelivered before the reset, {after} after it");
            if (after != before)
                leaked.Add($"{before - after} of {before}");
        }

        Assert.True(leaked.Count == 0, $"Left the inbox for a peer that was gone: {string.Join(", ", leaked)}.");
    }

    [Fact]
    public async Task I2_What_was_stuck_when_a_peer_that_takes_nothing_was_cut_off_stays_in_its_inbox()
    {
        using var folder = new TempFolder();
        await using var server = await StartAsync(folder.DatabasePath, sendTimeout: TimeSpan.FromSeconds(2));
        await HoardAsync(server.Url);
        using var bob = await RawWebSocket.ConnectAsync(server.Url, "bob", WebSocketEndpoint.Plain, receiveBuffer: 4096);
        var talking = TalkAsync();
        await MessagesAsync(bob, 1);
        var before = await SettledAsync(server);
        var alice = new HttpUser(server.Http, "alice");
        Assert.True(await alice.SeesOnlineAsync("bob"), "Cut off too early to see anything.");

        await Deadline.UntilAsync(async () => !await alice.SeesOnlineAsync("bob"), "bob cut off");
        await talking.OrFail("the end of the line");
        Assert.Equal(201, (await alice.SendAsync("carol", "after whatever the server had still to write")).Status);
        Assert.Equal(before, await SettledAsync(server));

        async Task TalkAsync()
        {
            var ping = RawWebSocket.Build(Opcode.Text, """{"type":"ping"}"""u8.ToArray());
            using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(100));
            while (await bob.TryBytesAsync(ping)) // so that it is not for its silence that it is cut off
                await tick.WaitForNextTickAsync();
        }
    }

    [Fact]
    public async Task I4_A_reader_that_takes_little_but_steadily_is_not_cut_off()
    {
        var time = TimeSpan.FromSeconds(90) / Hurry;
        using var folder = new TempFolder();
        await using var server = await StartAsync(
            folder.DatabasePath, TimeSpan.FromSeconds(30) / Hurry, TimeSpan.FromSeconds(15) / Hurry, TimeSpan.FromSeconds(30) / Hurry);
        await HoardAsync(server.Url, messages: 12_000);
        await Task.WhenAll(ReadAsync(bytesPerSecond: 20_000 * Hurry), ReadAsync(bytesPerSecond: 60_000 * Hurry));

        async Task ReadAsync(int bytesPerSecond)
        {
            using var bob = await RawWebSocket.ConnectAsync(server.Url, "bob", WebSocketEndpoint.Acknowledged);
            var (clock, taken) = (Stopwatch.StartNew(), 0);
            using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
            while (clock.Elapsed < time && await tick.WaitForNextTickAsync())
            {
                while (taken < bytesPerSecond * clock.Elapsed.TotalSeconds)
                {
                    var frame = await bob.ReadAsync();
                    Assert.True(frame is not null, $"Cut off at {bytesPerSecond / Hurry} bytes a second, after {clock.Elapsed * Hurry}.");
                    taken += frame.Payload.Length;
                    if (frame.Opcode == Opcode.Ping)
                        await bob.FrameAsync(Opcode.Pong, frame.Payload);
                }
            }

            output.WriteLine($"{bytesPerSecond / Hurry} bytes a second: {taken} in {clock.Elapsed.TotalSeconds:F1} s");
        }
    }

    [Fact]
    public async Task I7_A_broken_frame_in_mid_replay_is_answered_1002_each_time()
    {
        var random = new Random(Battery.Seed(output));
        using var folder = new TempFolder();
        await using var server = await StartAsync(folder.DatabasePath);
        await HoardAsync(server.Url, messages: 3000);
        var codes = new List<string>();
        for (var round = 0; round < Battery.Rounds(25); round++)
        {
            using var bob = await RawWebSocket.ConnectAsync(server.Url, "bob", WebSocketEndpoint.Acknowledged);
            await MessagesAsync(bob, random.Next(200));
            await bob.FrameAsync(Opcode.Text, "{}"u8.ToArray(), rsv: 7);
            codes.Add($"{(await bob.ReadUntilCloseAsync())?.CloseCode}");
        }

        Assert.True(codes.TrueForAll(code => code == "1002"), $"Closed with {Counted(codes)}.");
    }

    [Fact]
    public async Task I7_A_fault_in_mid_replay_is_1011_each_time()
    {
        using var folder = new TempFolder();
        await using var server = await StartAsync(folder.DatabasePath);
        await HoardAsync(server.Url, messages: 500);
        using (var database = new SqliteConnection($"Data Source={folder.DatabasePath};Pooling=False"))
        {
            database.Open();
            using var spoil = database.CreateCommand();
            spoil.CommandText = "UPDATE MessageDB SET SentAt = 9000000000000000000 WHERE Id = 100"; // a time that nothing can express
            Assert.Equal(1, spoil.ExecuteNonQuery());
        }

        var codes = new List<string>();
        for (var round = 0; round < Battery.Rounds(5); round++)
        {
            using var bob = await RawWebSocket.ConnectAsync(server.Url, "bob", WebSocketEndpoint.Acknowledged);
            codes.Add($"{(await bob.ReadUntilCloseAsync())?.CloseCode}");
        }

        Assert.True(codes.TrueForAll(code => code == "1011"), $"Closed with {Counted(codes)}.");
    }

    private static string Counted(List<string> codes) => string.Join(", ", codes.CountBy(code => code).Select(code =>
        $"{(code.Key.Length == 0 ? "no code" : code.Key)} {code.Value} times"));

    private static Task<ChatProcess> StartAsync(
        string path, TimeSpan? sendTimeout = null, TimeSpan? keepAliveInterval = null, TimeSpan? keepAliveTimeout = null)
    {
        var server = new ChatProcess { DatabasePath = path, ["Chat:MessagesPerSecond"] = "0" };
        Set("SendTimeout", sendTimeout);
        Set("KeepAliveInterval", keepAliveInterval);
        Set("KeepAliveTimeout", keepAliveTimeout);
        return server.StartAsync();

        void Set(string key, TimeSpan? value)
        {
            if (value is { } time)
                server[$"Chat:{key}"] = time.ToString("c", CultureInfo.InvariantCulture);
        }
    }

    /// <summary>Messages to somebody, all of them confirmed when it returns.</summary>
    /// <param name="url">The server's.</param>
    /// <param name="messages">How many.</param>
    /// <param name="length">How long their texts are.</param>
    /// <param name="atOnce">How many may be unanswered at a time.</param>
    /// <param name="to">To whom.</param>
    /// <returns>Their ids.</returns>
    private static async Task<List<long>> HoardAsync(
        Uri url, int messages = Hoard, int length = TextLength, int atOnce = Hoard, string to = "bob")
    {
        using var room = new SemaphoreSlim(atOnce);
        await using var alice = await ChatClient.ConnectAsync(url, "alice");
        var text = new string('x', length);
        var sending = SendAsync();
        var confirmed = new List<long>();
        while (confirmed.Count < messages)
        {
            var frame = await alice.ReceiveAsync();
            if (frame.Type == "delivered")
                continue;
            Assert.Equal("sent", frame.Type);
            confirmed.Add(frame.Id);
            room.Release();
        }

        await sending;
        return confirmed;

        async Task SendAsync()
        {
            for (var i = 0; i < messages; i++)
            {
                await room.WaitAsync().OrFail("an answer");
                await alice.SendAsync(to, text);
            }
        }
    }

    /// <summary>The next messages, or fewer if the line ends before; what comes in between is passed over.</summary>
    /// <returns>Their ids.</returns>
    private static async Task<List<long>> MessagesAsync(RawWebSocket line, int count)
    {
        var ids = new List<long>();
        while (ids.Count < count && await line.ReadAsync() is { } frame)
        {
            if (frame.Opcode == Opcode.Text && Frame.Parse(frame.Text) is { Type: "message" } message)
                ids.Add(message.Id);
        }

        return ids;
    }

    /// <summary>
    /// How many messages wait for somebody, once they have been as many for a while, and while others' messages were stored: what was
    /// delivered before is stored before them.
    /// </summary>
    private static async Task<long> SettledAsync(ChatProcess server, string user = "bob")
    {
        const int Others = 10;
        using var database = new SqliteConnection($"Data Source={server.DatabasePath};Mode=ReadOnly;Pooling=False");
        database.Open();
        using var count = database.CreateCommand();
        count.CommandText = $"SELECT count(*) FROM InboxDB WHERE Recipient = '{user}'";
        var alice = new HttpUser(server.Http, "alice");
        var (last, since, others) = (-1L, Stopwatch.StartNew(), 0);
        await Deadline.UntilAsync(async () =>
        {
            Assert.Equal(201, (await alice.SendAsync("carol", "another")).Status);
            others++;
            var now = (long)count.ExecuteScalar()!;
            if (now != last)
            {
                since.Restart();
                others = 0;
            }

            last = now;
            return others > Others && since.Elapsed > TimeSpan.FromMilliseconds(300);
        }, "an inbox that does not change");
        return last;
    }
}
