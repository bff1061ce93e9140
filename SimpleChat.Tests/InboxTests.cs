using System.Globalization;

namespace SimpleChat.Tests;

/// <summary>Chapter "WebSocket": what is pushed, when it counts as delivered, and resuming.</summary>
public sealed class InboxTests
{
    [Theory]
    [InlineData(null)]
    [InlineData("chat")]
    public async Task I2_With_chat_a_message_is_delivered_once_it_was_written(string? protocol)
    {
        await using var server = await ChatServer.StartNewAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        await using (var bob = await ChatClient.ConnectAsync(server.Url, "bob", protocol))
        {
            var sent = await alice.SendAndConfirmAsync("bob", "hi");
            await bob.ExpectAsync("message");
            Assert.Equal(sent.Id, (await alice.ExpectAsync("delivered")).Id);
            await bob.CloseAsync();
        }

        await AssertInboxIsEmptyAsync(server, "bob");
    }

    [Fact]
    public async Task I2_With_chat_ack_a_message_is_delivered_once_it_was_acknowledged()
    {
        await using var server = await ChatServer.StartNewAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        await using var carol = await ChatClient.ConnectAsync(server.Url, "carol");
        await using var bob = await ChatClient.ConnectAsync(server.Url, "bob", "chat.ack");
        var first = await alice.SendAndConfirmAsync("bob", "hi");
        var message = await bob.ExpectAsync("message");

        // Had the push counted as a delivery, its receipt would be there before the one of a later message.
        var second = await alice.SendAndConfirmAsync("carol", "hi");
        Assert.Equal(second.Id, (await alice.ExpectAsync("delivered")).Id);

        await bob.AckAsync(message.Id);
        Assert.Equal(first.Id, (await alice.ExpectAsync("delivered")).Id);
        await bob.CloseAsync();
        await AssertInboxIsEmptyAsync(server, "bob");
    }

    [Fact]
    public async Task I2_What_was_never_acknowledged_is_pushed_again()
    {
        await using var server = await ChatServer.StartNewAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        var pushed = new List<Frame>();
        await using (var bob = await ChatClient.ConnectAsync(server.Url, "bob", "chat.ack"))
        {
            for (var i = 0; i < 5; i++)
                await alice.SendAndConfirmAsync("bob", $"{i}");
            pushed = await bob.MessagesAsync(5);
            await bob.AckAsync(pushed[1].Id, pushed[3].Id);
            Assert.Equal(pushed[1].Id, (await alice.ExpectAsync("delivered")).Id);
            Assert.Equal(pushed[3].Id, (await alice.ExpectAsync("delivered")).Id);
            bob.Abort();
        }

        var rest = new[] { pushed[0], pushed[2], pushed[4] }.Select(message => message.ToString());
        for (var i = 0; i < 2; i++)
        {
            await using var again = await ChatClient.ConnectAsync(server.Url, "bob", "chat.ack");
            Assert.Equal(rest, (await again.MessagesAsync(3)).Select(message => message.ToString()));
        }

        await server.RestartAsync();
        await using var afterwards = await ChatClient.ConnectAsync(server.Url, "bob", "chat.ack");
        Assert.Equal(rest, (await afterwards.MessagesAsync(3)).Select(message => message.ToString()));
    }

    [Fact]
    public async Task What_waited_comes_first_oldest_first_and_its_senders_are_told()
    {
        await using var server = await ChatServer.StartNewAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        await using var carol = await ChatClient.ConnectAsync(server.Url, "carol");
        var ids = new List<long>();
        for (var i = 0; i < 5; i++)
        {
            ids.Add((await alice.SendAndConfirmAsync("bob", $"a{i}")).Id);
            ids.Add((await carol.SendAndConfirmAsync("bob", $"c{i}")).Id);
        }

        await using var bob = await ChatClient.ConnectAsync(server.Url, "bob");
        await alice.SendAndConfirmAsync("bob", "live");
        var replay = await bob.BeforeAsync("live");
        Assert.Equal(ids, replay.Select(message => message.Id));
        Assert.Equal(["a0", "c0", "a1", "c1", "a2", "c2", "a3", "c3", "a4", "c4"], replay.Select(message => message.Body));
        for (var i = 0; i < 5; i++)
        {
            Assert.Equal(ids[2 * i], (await alice.FindAsync("delivered")).Id);
            Assert.Equal(ids[(2 * i) + 1], (await carol.FindAsync("delivered")).Id);
        }
    }

    [Fact]
    public async Task I3_Between_replay_and_live_there_is_neither_a_hole_nor_a_repeat()
    {
        const int Count = 3000;
        await using var server = await new ChatServer { ["Chat:MessagesPerSecond"] = "0" }.StartAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        var sending = Task.Run(async () =>
        {
            for (var i = 0; i < Count; i++)
                await alice.SendAsync("bob", $"{i}");
        });
        var confirming = Task.Run(async () =>
        {
            for (var i = 0; i < Count; i++)
                await alice.ExpectAsync("sent");
        });

        // Nothing is acknowledged, so each of these connections is owed everything, wherever it came in.
        var readers = new List<Task>();
        for (var i = 0; i < 8; i++)
        {
            var bob = await ChatClient.ConnectAsync(server.Url, "bob", "chat.ack");
            var first = await bob.ExpectAsync("message");
            readers.Add(ReadAllAsync(bob, first));
        }

        await Task.WhenAll([sending, confirming, .. readers]);

        static async Task ReadAllAsync(ChatClient bob, Frame first)
        {
            await using var closing = bob;
            var last = first;
            Assert.Equal("0", first.Body);
            for (var i = 1; i < Count; i++)
            {
                var next = await bob.ExpectAsync("message");
                Assert.Equal(i.ToString(CultureInfo.InvariantCulture), next.Body);
                Assert.True(next.Id > last.Id && next.SentAt >= last.SentAt);
                last = next;
            }
        }
    }

    [Fact]
    public async Task I3_Whoever_joins_in_the_middle_of_a_commit_gets_each_message_once()
    {
        const int Joins = 60, Readers = 4, Each = 40;
        await using var server =
            await new ChatServer { ["Chat:MessagesPerSecond"] = "0", ["Chat:ConnectionsPerUser"] = "1000" }.StartAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        var newest = (await alice.SendAndConfirmAsync("bob", "first")).Id; // every message is alice's to bob, so ids leave no gap
        using var over = new CancellationTokenSource();
        using var room = new SemaphoreSlim(64);
        var confirming = Task.Run(async () =>
        {
            while (await alice.FindAsync("sent") is { ClientMessageId: null } sent)
            {
                Volatile.Write(ref newest, sent.Id);
                room.Release();
            }
        });
        var sending = Task.Run(async () =>
        {
            while (!over.IsCancellationRequested)
            {
                await room.WaitAsync().OrFail("an answer");
                await alice.SendAsync("bob", "hi");
            }

            await alice.SendAsync("bob", "last", "last");
        });

        await Task.WhenAll(Enumerable.Range(0, Readers).Select(_ => Task.Run(async () =>
        {
            for (var i = 0; i < Joins; i++)
            {
                var position = Volatile.Read(ref newest);
                await using var bob = await ChatClient.ConnectAsync(server.Url, "bob", "chat.ack", position);
                for (var j = 1; j <= Each; j++)
                    Assert.Equal(position + j, (await bob.ExpectAsync("message")).Id);
                bob.Abort();
            }
        })));
        await over.CancelAsync();
        await sending;
        await confirming;
    }

    [Fact]
    public async Task I3_Messages_of_many_senders_come_with_rising_ids_and_none_is_missing()
    {
        const int Senders = 8, Each = 200;
        await using var server = await new ChatServer { ["Chat:MessagesPerSecond"] = "0" }.StartAsync();
        await using var bob = await ChatClient.ConnectAsync(server.Url, "bob");
        var sent = await Task.WhenAll(Enumerable.Range(0, Senders).Select(async number =>
        {
            await using var sender = await ChatClient.ConnectAsync(server.Url, $"sender{number}");
            var ids = new List<long>();
            for (var i = 0; i < Each; i++)
                ids.Add((await sender.SendAndConfirmAsync("bob", "hi")).Id);
            return ids;
        }));
        var received = (await bob.MessagesAsync(Senders * Each)).Select(message => message.Id);
        Assert.Equal(sent.SelectMany(ids => ids).Order(), received);
    }

    [Fact]
    public async Task I4_A_reader_that_is_slow_holds_nobody_up_and_misses_nothing()
    {
        const int Count = 300;
        await using var server = await new ChatServer
        {
            ["Chat:MessagesPerSecond"] = "0",
            ["Chat:SendTimeout"] = "00:10:00",
            ["Chat:KeepAliveInterval"] = "00:10:00",
        }.StartAsync();
        using var bob = await RawWebSocket.ConnectAsync(server.Url, "bob", "chat.ack", receiveBuffer: 4096);
        await using var carol = await ChatClient.ConnectAsync(server.Url, "carol");
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        var text = new string('x', 60_000); // 18 MB in all: more than the kernel and the server may hold for bob
        for (var i = 0; i < Count; i++)
        {
            await alice.SendAndConfirmAsync("bob", $"{i} {text}");
            await alice.SendAndConfirmAsync("carol", $"{i}");
            Assert.Equal($"{i}", (await carol.ExpectAsync("message")).Body);
        }

        for (var i = 0; i < Count; i++)
        {
            var message = await bob.ReadJsonAsync();
            Assert.StartsWith($"{i} x", message.Body, StringComparison.Ordinal);
        }

        await alice.SendAndConfirmAsync("bob", "live again");
        Assert.Equal("live again", (await bob.ReadJsonAsync()).Body);
    }

    [Fact]
    public async Task I5_An_older_connections_end_does_not_take_the_newer_ones_place()
    {
        await using var server = await ChatServer.StartNewAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        var http = new HttpUser(server.Http, "alice");
        var older = await ChatClient.ConnectAsync(server.Url, "bob");
        for (var i = 0; i < 20; i++)
        {
            var newer = await ChatClient.ConnectAsync(server.Url, "bob");
            older.Abort();
            await older.DisposeAsync();
            await alice.SendAndConfirmAsync("bob", $"{i}");
            Assert.Equal($"{i}", (await newer.ExpectAsync("message")).Body);
            await alice.FindAsync("delivered"); // else the next one may be owed it still
            Assert.True(await http.SeesOnlineAsync("bob"));
            older = newer;
        }

        await older.CloseAsync();
        await older.DisposeAsync();
        await Deadline.UntilAsync(async () => !await http.SeesOnlineAsync("bob"), "bob is offline");
    }

    [Fact]
    public async Task Every_open_connection_of_the_sender_is_told_of_the_delivery()
    {
        await using var server = await ChatServer.StartNewAsync();
        await using var phone = await ChatClient.ConnectAsync(server.Url, "alice");
        await using var laptop = await ChatClient.ConnectAsync(server.Url, "alice", "chat.ack");
        var sent = await phone.SendAndConfirmAsync("bob", "hi");
        var posted = await new HttpUser(server.Http, "alice").SendAsync("bob", "over HTTP");
        await using var bob = await ChatClient.ConnectAsync(server.Url, "bob");
        foreach (var device in new[] { phone, laptop })
        {
            Assert.Equal(sent.Id, (await device.FindAsync("delivered")).Id);
            Assert.Equal(posted.Json.Id, (await device.FindAsync("delivered")).Id);
        }
    }

    [Fact]
    public async Task What_a_user_sends_from_elsewhere_reaches_the_other_connections_live()
    {
        await using var server = await ChatServer.StartNewAsync();
        await using var phone = await ChatClient.ConnectAsync(server.Url, "alice", "chat.ack");
        await using var laptop = await ChatClient.ConnectAsync(server.Url, "alice");
        var sent = await phone.SendAndConfirmAsync("bob", "from the phone", "c1");
        var message = await laptop.ExpectAsync("message");
        Assert.Equal("from id sentAt text to type", message.Properties);
        Assert.Equal((sent.Id, "alice", "bob", "from the phone"), (message.Id, message.From, message.To, message.Body));

        await new HttpUser(server.Http, "alice").SendAsync("bob", "over HTTP");
        Assert.Equal("over HTTP", (await laptop.ExpectAsync("message")).Body);
        // The phone has its answer to the first; as a message it gets the second alone.
        Assert.Equal("over HTTP", (await phone.ExpectAsync("message")).Body);

        // They were told, not delivered to: bob's inbox is untouched, and alice's was never concerned.
        Assert.Equal(2, (await new HttpUser(server.Http, "bob").InboxAsync()).Count);
        Assert.Empty(await new HttpUser(server.Http, "alice").InboxAsync());
    }

    [Fact]
    public async Task However_much_a_connection_sends_and_gets_meanwhile_none_of_its_own_comes_back()
    {
        const int Own = 200, Large = 16; // Own: fewer than the answers after which a client that takes none is not read further
        await using var server = await new ChatServer { ["Chat:MessagesPerSecond"] = "0" }.StartAsync();
        using var bob = await RawWebSocket.ConnectAsync(server.Url, "bob", "chat.ack", receiveBuffer: 4096);
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        await SendOwnAsync();
        for (var i = 0; i < Own; i++)
            Assert.Equal("sent", (await bob.ReadJsonAsync()).Type);

        await SendLargeAsync(0); // 1 MB, and bob takes nothing: the queue overflows, and the rest is read from the database
        await SendOwnAsync();
        await Deadline.UntilAsync(
            async () => await server.CountAsync("SELECT count(*) FROM MessageDB WHERE Sender = 'bob'") == 2 * Own, "bob's messages");
        await new HttpUser(server.Http, "bob").SendAsync("carol", "elsewhere");
        await SendLargeAsync(Large);

        var (sent, messages) = (0, new List<string>());
        while (messages.Count < 2 * Large + 1)
        {
            var frame = await bob.ReadJsonAsync();
            if (frame.Type == "sent")
                sent++;
            else
                messages.Add(frame.Body.TrimEnd('x'));
        }

        Assert.Equal(Own, sent);
        var received = Enumerable.Range(0, 2 * Large).Select(i => $"{i} ").ToList();
        received.Insert(Large, "elsewhere");
        Assert.Equal(received, messages);

        async Task SendOwnAsync()
        {
            for (var i = 0; i < Own; i++)
                await bob.TextAsync("""{"to":"carol","text":"own"}""");
        }

        async Task SendLargeAsync(int first)
        {
            for (var i = first; i < first + Large; i++)
                await alice.SendAndConfirmAsync("bob", $"{i} {new string('x', 60_000)}");
        }
    }

    [Fact]
    public async Task Every_open_connection_of_the_recipient_gets_the_message_and_one_ack_delivers_it_once()
    {
        await using var server = await ChatServer.StartNewAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        await using var phone = await ChatClient.ConnectAsync(server.Url, "bob", "chat.ack");
        await using var laptop = await ChatClient.ConnectAsync(server.Url, "bob", "chat.ack");
        var sent = await alice.SendAndConfirmAsync("bob", "hi");
        Assert.Equal(sent.Id, (await phone.ExpectAsync("message")).Id);
        Assert.Equal(sent.Id, (await laptop.ExpectAsync("message")).Id);
        await phone.AckAsync(sent.Id, sent.Id);
        Assert.Equal(sent.Id, (await alice.ExpectAsync("delivered")).Id);
        await laptop.AckAsync(sent.Id);

        var next = await alice.SendAndConfirmAsync("bob", "next");
        await laptop.AckAsync(next.Id);
        Assert.Equal(next.Id, (await alice.ExpectAsync("delivered")).Id);
    }

    [Fact]
    public async Task Resuming_first_gets_all_that_was_received_or_sent_since_delivered_or_not()
    {
        await using var server = await ChatServer.StartNewAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        var bob = new HttpUser(server.Http, "bob");
        var known = (await alice.SendAndConfirmAsync("bob", "known")).Id;
        await bob.AckAsync(known);
        var delivered = (await alice.SendAndConfirmAsync("bob", "delivered")).Id;
        await bob.AckAsync(delivered);
        await bob.SendAsync("alice", "sent");
        await bob.SendAsync("carol", "sent too");
        await alice.SendAndConfirmAsync("carol", "none of bob's business");
        await alice.SendAndConfirmAsync("bob", "waiting");

        await using var second = await ChatClient.ConnectAsync(server.Url, "bob", "chat.ack", known);
        await alice.SendAndConfirmAsync("bob", "live");
        var frames = await second.BeforeAsync("live");
        Assert.Equal(["delivered", "sent", "sent too", "waiting"], frames.Select(frame => frame.Body));
        Assert.Equal(frames.Select(frame => frame.Id).Order(), frames.Select(frame => frame.Id));
        Assert.Equal("from id sentAt text to type", Assert.Single(frames.Select(frame => frame.Properties).Distinct()));
    }

    [Fact]
    public async Task Resuming_after_the_newest_gets_what_is_live_alone()
    {
        await using var server = await ChatServer.StartNewAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        await alice.SendAndConfirmAsync("bob", "one");
        var strangers = await alice.SendAndConfirmAsync("carol", "not bob's, but a position all the same");
        await using var bob = await ChatClient.ConnectAsync(server.Url, "bob", "chat.ack", strangers.Id);
        await alice.SendAndConfirmAsync("bob", "live");
        Assert.Empty(await bob.BeforeAsync("live"));
    }

    [Fact]
    public async Task I3_Resuming_in_the_middle_of_traffic_misses_nothing()
    {
        const int Count = 1000;
        await using var server = await new ChatServer { ["Chat:MessagesPerSecond"] = "0" }.StartAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        var start = (await alice.SendAndConfirmAsync("bob", "start")).Id;
        var sending = Task.Run(async () =>
        {
            for (var i = 0; i < Count; i++)
                await alice.SendAndConfirmAsync("bob", $"{i}");
        });

        var (position, expected) = (start, 0);
        while (expected < Count)
        {
            await using var bob = await ChatClient.ConnectAsync(server.Url, "bob", after: position);
            for (var i = 0; i < 97 && expected < Count; i++) // then the line is cut, with who knows what under way
            {
                var message = await bob.ExpectAsync("message");
                Assert.Equal($"{expected++}", message.Body);
                position = message.Id;
            }

            bob.Abort();
        }

        await sending;
    }

    [Theory]
    [InlineData("1", false)]
    [InlineData("2", true)]
    [InlineData("9007199254740991", true)]
    [InlineData("9007199254740992", true)]
    [InlineData("99999999999999999999999999", true)]
    public async Task A_position_that_was_never_given_out_is_answered_409(string after, bool withMessage)
    {
        await using var server = await ChatServer.StartNewAsync();
        if (withMessage)
            Assert.Equal(1, (await new HttpUser(server.Http, "alice").SendAsync("bob", "hi")).Json.Id);
        (await RawHttp.AskAsync(server.Url, new Handshake { Target = $"/chat?user=bob&after={after}" }))
            .AssertProblem(409, "unknown_position");
    }

    [Fact]
    public async Task An_ack_of_somebody_elses_or_of_no_message_is_no_error_and_does_nothing()
    {
        await using var server = await ChatServer.StartNewAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        await using var carol = await ChatClient.ConnectAsync(server.Url, "carol", "chat.ack");
        var sent = await alice.SendAndConfirmAsync("bob", "hi");

        await carol.AckAsync(sent.Id, 4711, 9007199254740991);
        await alice.AckAsync(sent.Id);
        Assert.Equal(204, (await new HttpUser(server.Http, "carol").AckAsync(sent.Id)).Status);
        await alice.SendAndConfirmAsync("carol", "next");
        Assert.Empty(await carol.BeforeAsync("next"));

        Assert.Equal(sent.Id, Assert.Single(await new HttpUser(server.Http, "bob").InboxAsync()).Id);
    }

    [Fact]
    public async Task An_ack_over_HTTP_delivers_as_well()
    {
        await using var server = await ChatServer.StartNewAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        var sent = await alice.SendAndConfirmAsync("bob", "hi");
        Assert.Equal(204, (await new HttpUser(server.Http, "bob").AckAsync(sent.Id)).Status);
        Assert.Equal(sent.Id, (await alice.ExpectAsync("delivered")).Id);
        await AssertInboxIsEmptyAsync(server, "bob");
    }

    [Fact]
    public async Task A_long_inbox_is_replayed_whole_and_leaves_nothing_behind()
    {
        const int Count = 1500;
        await using var server = await new ChatServer { ["Chat:MessagesPerSecond"] = "0" }.StartAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        for (var i = 0; i < Count; i++)
            await alice.SendAsync("bob", $"{i}");
        for (var i = 0; i < Count; i++)
            await alice.ExpectAsync("sent");

        await using (var bob = await ChatClient.ConnectAsync(server.Url, "bob"))
        {
            var messages = await bob.MessagesAsync(Count);
            Assert.Equal(Enumerable.Range(0, Count).Select(i => i.ToString(CultureInfo.InvariantCulture)),
                messages.Select(message => message.Body));
            var receipts = new List<long>();
            for (var i = 0; i < Count; i++)
                receipts.Add((await alice.ExpectAsync("delivered")).Id);
            Assert.Equal(messages.Select(message => message.Id), receipts.Order());
        }

        await AssertInboxIsEmptyAsync(server, "bob");
    }

    /// <summary>Neither HTTP nor a new connection finds anything waiting.</summary>
    private static async Task AssertInboxIsEmptyAsync(ChatServer server, string user)
    {
        Assert.Empty(await new HttpUser(server.Http, user).InboxAsync());
        await using var client = await ChatClient.ConnectAsync(server.Url, user, "chat.ack");
        await new HttpUser(server.Http, "somebody").SendAsync(user, "barrier");
        Assert.Empty(await client.BeforeAsync("barrier"));
    }
}
