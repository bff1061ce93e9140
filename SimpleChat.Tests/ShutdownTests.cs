using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net.WebSockets;
using System.Text;
using Microsoft.Data.Sqlite;

namespace SimpleChat.Tests;

/// <summary>Chapter "Running it": SIGTERM, and that without it nothing confirmed is lost either.</summary>
public sealed class ShutdownTests : IDisposable
{
    /// <summary>From SIGTERM to exit.</summary>
    private const double Seconds = 5;

    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task On_SIGTERM_every_WebSocket_is_closed_with_1001_and_the_exit_code_is_0()
    {
        await using var server = await StartAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        await using var bob = await ChatClient.ConnectAsync(server.Url, "bob", "chat.ack");
        var closed = Task.WhenAll(CloseAsync(alice), CloseAsync(bob));
        var watch = Stopwatch.StartNew();
        server.Terminate();
        Assert.All(await closed, code => Assert.Equal(1001, code));
        Assert.Equal(0, await server.ExitAsync());
        Assert.InRange(watch.Elapsed.TotalSeconds, 0, Seconds);
        Assert.Empty(server.Errors);

        static async Task<int> CloseAsync(ChatClient client)
        {
            var (code, _) = await client.ReceiveUntilCloseAsync();
            await client.AnswerCloseAsync();
            return code;
        }
    }

    [Fact]
    public async Task On_SIGTERM_peers_that_are_idle_silent_or_stalled_do_not_hold_it_up()
    {
        await using var server = await StartAsync();
        using var silent = await RawWebSocket.ConnectAsync(server.Url, "silent"); // answers no close frame
        using var halfway = await RawWebSocket.ConnectAsync(server.Url, "halfway");
        await halfway.FrameAsync(Opcode.Text, "{"u8.ToArray(), fin: false);
        using var stalled = await RawWebSocket.ConnectAsync(server.Url, "stalled", receiveBuffer: 4096);
        using var idle = await RawHttp.ConnectAsync(server.Url);
        Assert.Equal(200, (await idle.AskAsync($"GET /alive HTTP/1.1\r\nHost: {server.Url.Authority}\r\n\r\n")).Status);
        using var polling = await RawHttp.ConnectAsync(server.Url);
        await polling.Stream.WriteAsync(
            Encoding.ASCII.GetBytes($"GET /inbox?wait=60&user=alice HTTP/1.1\r\nHost: {server.Url.Authority}\r\n\r\n"));
        await using (var alice = await ChatClient.ConnectAsync(server.Url, "alice"))
        {
            var text = new string('x', 60_000);
            for (var i = 0; i < 200; i++) // 12 MB: the write to the stalled one is stuck
                await alice.SendAndConfirmAsync("stalled", text);
        }

        var watch = Stopwatch.StartNew();
        server.Terminate();
        Assert.Equal(1001, (await silent.ReadUntilCloseAsync())?.CloseCode);
        Assert.Equal(0, await server.ExitAsync());
        Assert.InRange(watch.Elapsed.TotalSeconds, 0, Seconds);
        Assert.Empty(server.Errors);
        Assert.True(new FileInfo(_folder.DatabasePath + "-wal") is { Exists: false } or { Length: 0 }, "There was no last checkpoint.");
    }

    [Fact]
    public async Task On_SIGTERM_nobody_comes_in_any_more_not_even_over_a_connection_that_is_open()
    {
        await using var server = await StartAsync();
        using var knocking = await RawHttp.ConnectAsync(server.Url);
        Assert.Equal(200, (await knocking.AskAsync($"GET /alive HTTP/1.1\r\nHost: {server.Url.Authority}\r\n\r\n")).Status);
        using var polling = await RawHttp.ConnectAsync(server.Url);
        await polling.Stream.WriteAsync(
            Encoding.ASCII.GetBytes($"GET /inbox?wait=60&user=bob HTTP/1.1\r\nHost: {server.Url.Authority}\r\n\r\n"));
        using var silent = await RawWebSocket.ConnectAsync(server.Url, "silent"); // answers no close frame: holds up the end for a second
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        await Deadline.UntilAsync(() => new HttpUser(server.Http, "alice").SeesOnlineAsync("bob"), "the long poll");

        var closed = alice.ReceiveUntilCloseAsync();
        server.Terminate();
        Assert.Equal(1001, (await closed).Code);
        (await polling.ResponseAsync()).AssertProblem(503); // not an inbox that is empty after sixty seconds
        try
        {
            (await knocking.AskAsync(new Handshake().For(server.Url))).AssertProblem(503);
        }
        catch (IOException)
        {
            // Closed already: that is an answer too.
        }

        Assert.Equal(0, await server.ExitAsync());
    }

    [Fact]
    public async Task On_SIGTERM_under_load_what_was_read_is_committed_and_answered()
    {
        await using var server = await StartAsync();
        var load = await Load.StartAsync(server);
        await load.ConfirmedAsync(1000);
        var watch = Stopwatch.StartNew();
        server.Terminate();
        Assert.Equal(0, await server.ExitAsync());
        Assert.InRange(watch.Elapsed.TotalSeconds, 0, Seconds);
        Assert.All(await load.EndAsync(), code => Assert.Equal(1001, code));

        // Every answer is a row, and every row had its answer.
        Assert.Equal(Query("SELECT Id FROM MessageDB ORDER BY Id"), load.Confirmed.Values.Order());
        Assert.Equal(Query("SELECT MessageId FROM InboxDB ORDER BY MessageId"), load.Confirmed.Values.Order());
        Assert.Empty(server.Errors);
    }

    [Fact]
    public async Task I1_What_was_confirmed_survives_kill_minus_9()
    {
        var server = await StartAsync();
        var load = await Load.StartAsync(server);
        await load.ConfirmedAsync(1000);
        server.Kill();
        await load.EndAsync();
        Assert.NotEqual(0, await server.ExitAsync());
        await server.DisposeAsync();

        await using var again = await StartAsync();
        Assert.Empty(load.Confirmed.Values.Except(Query("SELECT Id FROM MessageDB")));

        // Whoever got no answer repeats, as the contract says; then each message is there once, under the id that was confirmed.
        await using var sender = await ChatClient.ConnectAsync(again.Url, "sender0");
        foreach (var id in load.Attempted.Keys.Where(id => id.StartsWith("0-", StringComparison.Ordinal)))
        {
            var sent = await sender.SendAndConfirmAsync("bob", id, id);
            if (load.Confirmed.TryGetValue(id, out var confirmed))
                Assert.Equal(confirmed, sent.Id);
        }

        await using var bob = await ChatClient.ConnectAsync(again.Url, "bob", "chat.ack");
        await sender.SendAndConfirmAsync("bob", "barrier");
        var received = (await bob.BeforeAsync("barrier")).ToDictionary(message => message.Body, message => message.Id);
        Assert.All(load.Confirmed, pair => Assert.Equal(pair.Value, received[pair.Key]));
        Assert.All(load.Attempted.Keys.Where(id => id.StartsWith("0-", StringComparison.Ordinal)),
            id => Assert.True(received.ContainsKey(id)));
        Assert.Equal(received.Values.Order(), received.Values);
    }

    [Fact]
    public async Task After_SIGTERM_the_next_server_takes_over_the_file()
    {
        await using (var first = await StartAsync())
        {
            await new HttpUser(first.Http, "alice").SendAsync("bob", "hi");
            first.Terminate();
            Assert.Equal(0, await first.ExitAsync());
        }

        await using var second = await StartAsync();
        Assert.Equal("hi", Assert.Single(await new HttpUser(second.Http, "bob").InboxAsync()).Body);
    }

    private async Task<ChatProcess> StartAsync() =>
        await new ChatProcess { DatabasePath = _folder.DatabasePath, ["Chat:MessagesPerSecond"] = "0" }.StartAsync();

    private List<long> Query(string sql)
    {
        using var connection = new SqliteConnection($"Data Source={_folder.DatabasePath};Mode=ReadOnly;Pooling=False");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        using var reader = command.ExecuteReader();
        var values = new List<long>();
        while (reader.Read())
            values.Add(reader.GetInt64(0));
        return values;
    }

    /// <summary>
    /// Senders that send to bob as fast as they are answered, until the server ends; a message's text is its clientMessageId.
    /// </summary>
    private sealed class Load
    {
        private const int Senders = 4, UnderWay = 32;

        private readonly List<Task<int?>> _senders = [];
        private readonly ConcurrentQueue<(int Count, TaskCompletionSource Reached)> _awaited = new();

        /// <summary>clientMessageId → id of what was answered.</summary>
        public ConcurrentDictionary<string, long> Confirmed { get; } = new();

        public ConcurrentDictionary<string, bool> Attempted { get; } = new();

        public static async Task<Load> StartAsync(ChatProcess server)
        {
            var load = new Load();
            for (var i = 0; i < Senders; i++)
            {
                var client = await ChatClient.ConnectAsync(server.Url, $"sender{i}");
                load._senders.Add(load.RunAsync(client, i));
            }

            return load;
        }

        public Task ConfirmedAsync(int count)
        {
            var reached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _awaited.Enqueue((count, reached));
            return reached.Task.OrFail($"{count} messages confirmed");
        }

        /// <returns>Each sender's close code; null if it was cut off.</returns>
        public async Task<int?[]> EndAsync() => await Task.WhenAll(_senders).OrFail("the end of the senders");

        private async Task<int?> RunAsync(ChatClient client, int number)
        {
            await using var closing = client;
            using var room = new SemaphoreSlim(UnderWay);
            using var over = new CancellationTokenSource();
            var sending = SendAsync(client, number, room, over.Token);
            try
            {
                while (true)
                {
                    var sent = await client.ExpectAsync("sent");
                    Confirmed[sent.ClientMessageId!] = sent.Id;
                    room.Release();
                    if (_awaited.TryPeek(out var awaited) && Confirmed.Count >= awaited.Count)
                        awaited.Reached.TrySetResult();
                }
            }
            catch (Exception e) when (e is InvalidOperationException or WebSocketException) // closed, or cut off
            {
                await over.CancelAsync();
                await sending;
                if (client.CloseCode is not null)
                    await client.AnswerCloseAsync();
                return client.CloseCode;
            }
        }

        private async Task SendAsync(ChatClient client, int number, SemaphoreSlim room, CancellationToken over)
        {
            try
            {
                for (var i = 0; ; i++)
                {
                    await room.WaitAsync(over);
                    var id = string.Create(CultureInfo.InvariantCulture, $"{number}-{i}");
                    Attempted[id] = true;
                    await client.SendAsync("bob", id, id);
                }
            }
            catch (Exception e) when (e is OperationCanceledException or WebSocketException or IOException)
            {
            }
        }
    }
}
