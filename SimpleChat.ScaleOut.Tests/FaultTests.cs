using System.Diagnostics;
using SimpleChat.Tests.Batteries;
using Xunit.Abstractions;

namespace SimpleChat.Tests;

/// <summary>
/// A node dies at a chosen moment, or something is away from it: what becomes of messages, and how long the others notice. The nodes are
/// processes, whose clocks are right.
/// </summary>
[Trait("Category", Battery.Category)]
public sealed class FaultTests(ITestOutputHelper output)
{
    private static readonly TimeSpan UnannouncedPush = TimeSpan.FromSeconds(1.5), Answer = TimeSpan.FromSeconds(5);

    [Fact]
    public async Task I1_I6_A_node_that_dies_with_a_batch_in_PostgreSQL_keeps_nobody_waiting_and_the_repeat_is_no_second_message()
    {
        await using var cluster = await Cluster.StartAsync();
        await using var alice = await cluster.ConnectAsync(0, "alice");
        await using var bob = await cluster.ConnectAsync(1, "bob");
        await using (await cluster.HoldPenAsync())
        {
            await alice.SendAsync("bob", "hi", "1");
            await Deadline.UntilAsync(
                async () => await cluster.ReadAsync<long>("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted") > 0,
                "the batch in PostgreSQL");
            cluster.Server.Kill(0);
        }

        var clock = Stopwatch.StartNew();
        var pushed = await bob.FindAsync("message");
        AssertWithin(UnannouncedPush, clock, "the push of what was not announced");
        await AssertIsOneMessageAsync(cluster, bob, pushed);
    }

    [Theory]
    [InlineData("meter:simplechat.commit.size:1", false)] // after COMMIT
    [InlineData("meter:simplechat.messages.stored:1", true)] // after the answer, before the announcement
    public async Task I1_I6_What_a_node_commits_and_dies_before_it_announces_is_pushed_by_the_other(string moment, bool isAnswered)
    {
        await using var cluster = await Cluster.StartAsync();
        cluster.Server.Kill(0);
        await cluster.Server.StartNodeAsync(0, moment);
        await using var alice = await cluster.ConnectAsync(0, "alice");
        await using var bob = await cluster.ConnectAsync(1, "bob");
        var clock = Stopwatch.StartNew();
        await alice.SendAsync("bob", "hi", "1");
        var pushed = await bob.FindAsync("message");
        AssertWithin(UnannouncedPush, clock, "the push of what was not announced");
        await cluster.Server.DeathOf(0);
        if (isAnswered)
            Assert.Equal(pushed.Id, (await alice.FindAsync("sent")).Id);
        await AssertIsOneMessageAsync(cluster, bob, pushed);
    }

    [Fact]
    public async Task I6_What_a_node_announces_and_dies_before_it_answers_is_one_message_when_it_is_repeated()
    {
        await using var cluster = await Cluster.StartAsync();
        await using var cable = new Cable(cluster.Server.UrlOf(0));
        await using var alice = await ChatClient.ConnectAsync(cable.Url, "alice");
        await using var bob = await cluster.ConnectAsync(1, "bob");
        cable.StallAnswers();
        await alice.SendAsync("bob", "hi", "1");
        var pushed = await bob.FindAsync("message");
        cluster.Server.Kill(0);
        await AssertIsOneMessageAsync(cluster, bob, pushed);
    }

    [Fact]
    public async Task A_node_that_stands_still_holds_up_nobody_is_away_after_17_s_and_goes_on_where_it_was()
    {
        await using var cluster = await Cluster.StartAsync();
        await using var carol = await cluster.ConnectAsync(1, "carol");
        await using var dave = await cluster.ConnectAsync(1, "dave");
        var writers = new List<ChatClient>();
        for (var i = 0; i < 5; i++)
            writers.Add(await cluster.ConnectAsync(0, $"writer{i}"));
        using var stopping = new CancellationTokenSource();
        var written = Task.WhenAll(writers.Select((writer, i) => Task.Run(async () =>
        {
            var count = 0;
            for (; !stopping.IsCancellationRequested; count++) // so that it stands still in the midst of it
            {
                await writer.SendAsync("erin", $"{i} {count}");
                await Task.Delay(1);
            }

            return count;
        })));
        await carol.SendAndConfirmAsync("dave", "before");
        await dave.MessagesAsync(1);
        await cluster.Server.SignalAsync(0, "STOP");
        await stopping.CancelAsync();

        var stopped = Stopwatch.StartNew();
        TimeSpan slowest = TimeSpan.Zero, gone = TimeSpan.Zero;
        var frank = cluster.HttpUser(1, "frank");
        while (stopped.Elapsed < Battery.Part(TimeSpan.FromSeconds(30)) || gone == TimeSpan.Zero)
        {
            var clock = Stopwatch.StartNew();
            var sent = await carol.SendAndConfirmAsync("dave", $"{stopped.Elapsed}").OrFail("sent");
            Assert.Equal(sent.Id, (await dave.MessagesAsync(1))[0].Id);
            slowest = clock.Elapsed > slowest ? clock.Elapsed : slowest;
            if (gone == TimeSpan.Zero && !await frank.SeesOnlineAsync("writer0"))
                gone = stopped.Elapsed;
            await Task.Delay(20);
        }

        output.WriteLine($"confirmed and pushed within {slowest}, away after {gone}");
        Assert.InRange(slowest, TimeSpan.Zero, TimeSpan.FromSeconds(4));
        Assert.InRange(gone, TimeSpan.Zero, TimeSpan.FromSeconds(17));
        await cluster.Server.SignalAsync(0, "CONT");
        foreach (var (writer, count) in writers.Zip(await written.OrFail("the writers")))
        {
            for (var j = 0; j < count; j++)
                Assert.True((await writer.ReceiveAsync()).Type is "sent" or "error");
        }

        await using var erin = await cluster.ConnectAsync(0, "erin");
        var stored = await cluster.ReadAsync<long>("SELECT count(*) FROM MessageDB WHERE Recipient = 'erin'");
        var came = await erin.MessagesAsync((int)stored);
        Assert.Equal(came.Select(message => message.Id).Order(), came.Select(message => message.Id));
        Assert.Equal(stored, came.Select(message => message.Id).Distinct().Count());
    }

    [Fact]
    public async Task A_node_that_stood_still_pushes_to_whoever_joins_nothing_that_was_delivered_elsewhere_a_second_ago()
    {
        await using var cluster = await Cluster.StartAsync();
        await using var alice = await cluster.ConnectAsync(1, "alice");
        await using var bob = await cluster.ConnectAsync(1, "bob", "chat.ack");
        for (var round = 0; round < 3; round++)
        {
            await cluster.Server.SignalAsync(0, "STOP");
            var old = await alice.SendAndConfirmAsync("bob", "old");
            await bob.FindAsync("message");
            await bob.AckAsync(old.Id);
            await alice.FindAsync("delivered");
            await Task.Delay(1100); // what the contract leaves open
            var joining = cluster.ConnectAsync(0, "bob", "chat.ack");
            await cluster.Server.SignalAsync(0, "CONT");
            await using var again = await joining;
            await alice.SendAndConfirmAsync("bob", "new");
            Assert.Equal("new", (await again.FindAsync("message")).Body);
            await bob.AckAsync((await bob.FindAsync("message")).Id);
            await alice.FindAsync("delivered");
        }
    }

    [Fact]
    public async Task What_was_delivered_before_a_connection_was_opened_is_not_told_to_it_however_late_its_node_hears_of_it()
    {
        await using var cluster = await Cluster.StartAsync();
        await using var bob = await cluster.ConnectAsync(1, "bob", "chat.ack");
        var before = (await cluster.HttpUser(0, "alice").SendAsync("bob", "before")).Json;
        Assert.Equal(before.Id, (await bob.FindAsync("message")).Id);
        cluster.ToRedis(0).StallAnswers();
        Assert.Equal(204, (await cluster.HttpUser(1, "bob").AckAsync(before.Id)).Status);
        await using var alice = await cluster.ConnectAsync(0, "alice"); // Redis is waited for, for a second
        cluster.ToRedis(0).Mend();

        var after = await alice.SendAndConfirmAsync("bob", "after");
        Assert.Equal(after.Id, (await bob.FindAsync("message")).Id);
        await bob.AckAsync(after.Id);
        Assert.Equal(after.Id, (await alice.FindAsync("delivered")).Id); // announced later than the first
    }

    [Fact]
    public async Task A_delivery_that_could_not_be_announced_is_told_when_Redis_is_back_whenever_the_message_was_sent()
    {
        using var engines = new Engines();
        await using var cluster = await Cluster.StartAsync(engines);
        var sent = (await cluster.HttpUser(0, "alice").SendAsync("bob", "hi")).Json;
        await using var alice = await cluster.ConnectAsync(0, "alice");
        await using var bob = await cluster.ConnectAsync(1, "bob", "chat.ack");
        Assert.Equal(sent.Id, (await bob.FindAsync("message")).Id);
        engines.KillRedis();
        Assert.Equal(204, (await cluster.HttpUser(1, "bob").AckAsync(sent.Id)).Status);
        engines.StartRedis();
        Assert.Equal(sent.Id, (await alice.FindAsync("delivered")).Id);
    }

    [Fact]
    public async Task I9_A_PostgreSQL_that_is_killed_under_load_costs_refusals_within_5_s_and_no_id_is_given_out_twice()
    {
        using var engines = new Engines();
        await using var cluster = await Cluster.StartAsync(engines);
        var writers = new List<ChatClient>();
        for (var i = 0; i < 10; i++)
            writers.Add(await cluster.ConnectAsync(i % Cluster.Nodes, $"writer{i}"));
        await using var bob = await cluster.ConnectAsync(0, "bob", "chat.ack"); // says nothing: writers hear answers alone
        var ids = new List<long>();
        var isBack = new TaskCompletionSource();
        var load = Task.WhenAll(writers.Select(writer => Task.Run(async () =>
        {
            var refused = TimeSpan.Zero;
            for (var after = 0; after < 20;)
            {
                var clock = Stopwatch.StartNew();
                await writer.SendAsync("bob", "hi");
                var answer = await writer.ReceiveAsync();
                AssertWithin(Answer, clock, "an answer");
                if (answer.Type == "sent")
                {
                    lock (ids)
                        ids.Add(answer.Id);
                    after += isBack.Task.IsCompleted ? 1 : 0;
                }
                else
                {
                    Assert.Equal("storage_unavailable", answer.Code);
                    refused = refused > clock.Elapsed ? refused : clock.Elapsed;
                    await Task.Delay(100);
                }
            }

            output.WriteLine($"refused after {refused} at most");
        })));
        await Deadline.UntilAsync(() => Task.FromResult(ids.Count > 100), "load");
        engines.KillPostgres();
        await Task.Delay(TimeSpan.FromSeconds(6));
        engines.StartPostgres();
        isBack.SetResult();
        await load.OrFail("recovery");
        Assert.Equal(ids.Count, ids.Distinct().Count());
        var stored = await cluster.ReadAsync<long>("SELECT count(*) FROM MessageDB");
        var came = await bob.MessagesAsync((int)stored);
        Assert.Equal(Enumerable.Range(1, (int)stored), came.Select(message => (int)message.Id));
        Assert.Empty(ids.Except(came.Select(message => message.Id)));
    }

    [Fact]
    public async Task I9_A_node_that_is_cut_off_from_PostgreSQL_answers_everybody_within_5_s_and_goes_on_when_it_is_back()
    {
        await using var cluster = await Cluster.StartAsync();
        await using var alice = await cluster.ConnectAsync(0, "alice");
        await using var bob = await cluster.ConnectAsync(0, "bob");
        await using var carol = await cluster.ConnectAsync(1, "carol");
        await alice.SendAndConfirmAsync("bob", "before");
        await bob.MessagesAsync(1);
        cluster.ToPostgres(0).Stall();

        for (var i = 0; i < 2; i++) // the second finds a node that knows
        {
            await AnswerAsync("a send", async () =>
            {
                await alice.SendAsync("bob", "lost");
                Assert.Equal("storage_unavailable", (await alice.FindAsync("error")).Code);
            });
            await AnswerAsync("POST", async () => Assert.Equal(503, (await cluster.HttpUser(0, "dave").SendAsync("bob", "lost")).Status));
            await AnswerAsync("GET", async () => Assert.Equal(503, (await cluster.HttpUser(0, "dave").GetAsync("/messages")).Status));
            await AnswerAsync("/health", async () => Assert.Equal(503, (await cluster.HttpUser(0, "dave").GetAsync("/health")).Status));
            await AnswerAsync("/alive", async () => Assert.Equal(200, (await cluster.HttpUser(0, "dave").GetAsync("/alive")).Status));
            await AnswerAsync("a join", async () => await (await cluster.ConnectAsync(0, "erin")).DisposeAsync());
            await AnswerAsync("a resume", async () => Assert.Equal(503, await HandshakeAsync("alice&after=1")));
        }

        await AnswerAsync("a send over the other node", async () => await carol.SendAndConfirmAsync("bob", "over there"));
        cluster.ToPostgres(0).Mend();
        Assert.Equal("over there", (await bob.MessagesAsync(1))[0].Body);
        await Deadline.UntilAsync(async () =>
        {
            await alice.SendAsync("bob", "after");
            return (await alice.ReceiveAsync()).Type == "sent";
        }, "the end of the fault");
        Frame next;
        while ((next = (await bob.MessagesAsync(1))[0]).Body != "after")
            Assert.Equal("lost", next.Body); // it was not known to be stored

        async Task<int> HandshakeAsync(string user) =>
            (await RawHttp.AskAsync(cluster.Server.UrlOf(0), new Handshake { Target = $"/chat?user={user}" })).Status;

        async Task AnswerAsync(string what, Func<Task> ask)
        {
            var clock = Stopwatch.StartNew();
            await ask();
            output.WriteLine($"{what}: {clock.Elapsed}");
            AssertWithin(Answer, clock, what);
        }
    }

    [Theory]
    [InlineData("killed")]
    [InlineData("cut off from the sender's node")]
    [InlineData("cut off from the recipient's node")]
    public async Task While_Redis_is_away_99_of_100_pushes_come_within_half_a_second_and_presence_is_right_again_soon_after(string how)
    {
        using var engines = new Engines();
        await using var cluster = await Cluster.StartAsync(engines);
        await using var alice = await cluster.ConnectAsync(0, "alice");
        await using var bob = await cluster.ConnectAsync(1, "bob");
        await alice.SendAndConfirmAsync("bob", "before");
        await bob.MessagesAsync(1);
        if (how == "killed")
            engines.KillRedis();
        else
            cluster.ToRedis(how == "cut off from the sender's node" ? 0 : 1).Stall();

        var times = new List<TimeSpan>();
        for (var i = 0; i < 100; i++)
        {
            var clock = Stopwatch.StartNew();
            await alice.SendAndConfirmAsync("bob", $"{i}");
            Assert.Equal($"{i}", (await bob.MessagesAsync(1))[0].Body);
            times.Add(clock.Elapsed);
        }

        times.Sort();
        output.WriteLine($"p50 {times[49]}, p99 {times[98]}, longest {times[99]}");
        Assert.True(times[98] < TimeSpan.FromMilliseconds(500), $"Pushes took {string.Join(' ', times)}.");
        if (how == "killed")
            engines.StartRedis();
        cluster.ToRedis(0).Mend();
        cluster.ToRedis(1).Mend();
        var back = Stopwatch.StartNew();
        foreach (var node in (int[])[0, 1, 0, 1])
        {
            await Deadline.UntilAsync(
                async () => await cluster.HttpUser(node, "carol").GetAsync("/users/bob/presence") is { Status: 200 } answer
                    && answer.Json.Json.GetProperty("online").GetBoolean(), "presence");
        }

        AssertWithin(TimeSpan.FromSeconds(5.5), back, "presence");
    }

    [Fact]
    public async Task Who_is_connected_to_a_node_that_hears_nothing_any_more_learns_all_the_same_what_was_sent_and_delivered()
    {
        using var engines = new Engines();
        await using var cluster = await Cluster.StartAsync(engines);
        await using var alice = await cluster.ConnectAsync(0, "alice");
        await using var bob = await cluster.ConnectAsync(1, "bob");
        await ExchangeAsync("before");
        engines.TellRedis("ACL", "SETUSER", "default", "-subscribe");
        engines.TellRedis("CLIENT", "KILL", "TYPE", "pubsub");
        await ExchangeAsync("deaf");
        engines.TellRedis("ACL", "SETUSER", "default", "+subscribe");
        await Deadline.UntilAsync(async () =>
        {
            var clock = Stopwatch.StartNew();
            await ExchangeAsync("heard");
            return clock.Elapsed < TimeSpan.FromSeconds(0.2); // and not read by a look
        }, "a message that is announced");

        async Task ExchangeAsync(string text)
        {
            var sent = await alice.SendAndConfirmAsync("bob", text);
            Assert.Equal(text, (await bob.MessagesAsync(1))[0].Body);
            while ((await alice.FindAsync("delivered")).Id != sent.Id)
            {
                // Earlier ones may be told again.
            }
        }
    }

    [Fact]
    public async Task What_the_map_has_forgotten_is_pushed_all_the_same()
    {
        await using var cluster = await Cluster.StartAsync();
        await using var alice = await cluster.ConnectAsync(0, "alice");
        var number = 0;
        foreach (var forgotten in (string[])["DEL chat:user:bob0", "DEL chat:nodes", "FLUSHALL"])
        {
            var name = $"bob{number++}"; // of whom the other node knows nothing yet
            await using var bob = await cluster.ConnectAsync(1, name);
            cluster.TellRedis(forgotten);
            var clock = Stopwatch.StartNew();
            await alice.SendAndConfirmAsync(name, forgotten);
            Assert.Equal(forgotten, (await bob.MessagesAsync(1))[0].Body);
            AssertWithin(UnannouncedPush, clock, "the push");
        }
    }

    [Fact]
    public async Task Presence_and_the_limit_of_connections_are_right_soon_after_an_end_clean_or_not()
    {
        await using var cluster = await Cluster.StartAsync(settings: "--Chat:ConnectionsPerUser=1");
        var carol = cluster.HttpUser(1, "carol");
        await using (var alice = await cluster.ConnectAsync(0, "alice"))
        {
            Assert.True(await carol.SeesOnlineAsync("alice"));
            await alice.CloseAsync();
        }

        var clock = Stopwatch.StartNew();
        await Deadline.UntilAsync(async () => !await carol.SeesOnlineAsync("alice"), "alice to be away");
        AssertWithin(TimeSpan.FromSeconds(1.5), clock, "presence after a clean close");
        await using var bob = await cluster.ConnectAsync(0, "bob");
        Assert.Equal(429, (await RawHttp.AskAsync(cluster.Server.UrlOf(1), new Handshake { Target = "/chat?user=bob" })).Status);
        cluster.Server.Kill(0);
        clock.Restart();
        await Deadline.UntilAsync(async () => !await carol.SeesOnlineAsync("bob"), "bob to be away");
        AssertWithin(TimeSpan.FromSeconds(17), clock, "presence after a crash");
        await using var again = await cluster.ConnectAsync(1, "bob");
        AssertWithin(TimeSpan.FromSeconds(20), clock, "a connection in place of a crashed node's");
    }

    /// <summary>alice repeats it at the other node, and bob gets what comes after it next.</summary>
    private static async Task AssertIsOneMessageAsync(Cluster cluster, ChatClient bob, Frame pushed)
    {
        Assert.Equal("hi", pushed.Body);
        await using var again = await cluster.ConnectAsync(1, "alice");
        Assert.Equal(pushed.Id, (await again.SendAndConfirmAsync("bob", "hi", "1")).Id);
        await again.SendAndConfirmAsync("bob", "next");
        Assert.Equal("next", (await bob.FindAsync("message")).Body);
        Assert.Equal(2, await cluster.ReadAsync<long>("SELECT count(*) FROM MessageDB"));
    }

    private static void AssertWithin(TimeSpan limit, Stopwatch clock, string what) =>
        Assert.True(clock.Elapsed < limit, $"{what} took {clock.Elapsed}, and may take {limit}.");
}
