using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Text;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;

namespace SimpleChat.Tests;

/// <summary>Group commit, by itself.</summary>
public sealed class WriterTests
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task I9_A_write_that_the_database_refuses_or_that_throws_fails_alone_and_its_neighbours_are_stored(bool isRefused)
    {
        await using var writer = await WriterHost.StartAsync();
        var alice = await writer.JoinAsync("alice");
        Assert.True(await writer.Enqueue(transaction => transaction.Insert(new Draft("alice", "bob", "acknowledged"u8.ToArray(), null, 0)))
            .OrFail("a commit"));
        var release = await writer.HoldUpAsync(); // so that the next four are one batch

        var left = writer.Enqueue(transaction => transaction.Insert(new Draft("alice", "bob", "left"u8.ToArray(), null, 1)));
        var ack = writer.AckAsync("bob", 1);
        var poisoned = writer.Enqueue(transaction =>
        {
            transaction.Insert(new Draft("alice", "bob", "half"u8.ToArray(), "half", 2));
            if (!isRefused)
                throw new InvalidOperationException("poison");
            transaction.Insert(new Draft("alice", null!, "poison"u8.ToArray(), null, 3)); // NOT NULL: SQLite refuses the row
        });
        var right = writer.Enqueue(transaction => transaction.Insert(new Draft("alice", "bob", "right"u8.ToArray(), null, 4)));
        release();

        Assert.True(await left.OrFail("the left neighbour"));
        Assert.Null(await ack.OrFail("the ack beside it"));
        Assert.False(await poisoned.OrFail("the poisoned write"));
        Assert.True(await right.OrFail("the right neighbour"));
        Assert.Equal(["left", "right"], writer.Texts());
        Assert.Equal([new Receipt(1, "alice", "bob")], alice.Take().Receipts); // once, although it was written twice
        Assert.Null(writer.Core.Fault);
    }

    [Fact]
    public async Task I1_What_waits_together_is_committed_together_and_confirmed_in_order_of_ids()
    {
        await using var writer = await WriterHost.StartAsync();
        var release = await writer.HoldUpAsync();
        var confirmed = new ConcurrentQueue<long>();
        var writes = Enumerable.Range(0, 100).Select(i =>
        {
            long id = 0;
            var draft = new Draft("alice", "bob", Encoding.UTF8.GetBytes($"{i}"), null, 0);
            return writer.Enqueue(transaction => id = transaction.Insert(draft).Id, () =>
            {
                Assert.True(writer.Core.LastCommitted >= id);
                confirmed.Enqueue(id);
            });
        }).ToArray();
        release();

        Assert.All(await Task.WhenAll(writes).OrFail("a hundred commits"), Assert.True);
        Assert.Equal(Enumerable.Range(1, 100).Select(id => (long)id), confirmed);
        Assert.Contains(100, writer.CommitSizes);
    }

    [Fact]
    public async Task SentAt_never_falls_even_when_the_clock_does()
    {
        await using var writer = await WriterHost.StartAsync();
        var times = new List<long>();
        foreach (var clock in (long[])[1000, 500, 2000, 1999])
            Assert.True(await writer.Enqueue(transaction =>
                times.Add(transaction.Insert(new Draft("alice", "bob", "hi"u8.ToArray(), null, clock)).SentAt)).OrFail("a commit"));
        Assert.Equal([1000, 1000, 2000, 2000], times);
    }

    [Fact]
    public async Task I9_A_disk_that_does_not_answer_is_reported_in_time_and_what_it_stores_after_all_counts()
    {
        await using var writer = await WriterHost.StartAsync();
        using var stuck = new SemaphoreSlim(0);
        var write = writer.Enqueue(transaction =>
        {
            transaction.Insert(new Draft("alice", "bob", "late"u8.ToArray(), null, 0));
            stuck.Wait(Deadline.Time);
        });

        Assert.False(await write.OrFail("word that it is not known to be stored")); // while the writer is still stuck
        stuck.Release();
        await Deadline.UntilAsync(() => Task.FromResult(writer.Core.LastCommitted == 1), "the late commit");
        Assert.Equal(["late"], writer.Texts());
    }

    [Fact]
    public async Task I9_A_commit_that_seems_to_fail_and_is_on_disk_all_the_same_is_news_to_everyone_receipts_included()
    {
        await using var writer = await WriterHost.StartAsync();
        var (alice, bob) = (await writer.JoinAsync("alice"), await writer.JoinAsync("bob"));
        Assert.True(await writer.Enqueue(transaction => transaction.Insert(new Draft("alice", "bob", "one"u8.ToArray(), null, 0)))
            .OrFail("a commit"));
        var release = await writer.HoldUpAsync(); // so that the next three are one batch

        var ack = writer.AckAsync("bob", 1);
        var message = writer.Enqueue(transaction => transaction.Insert(new Draft("alice", "bob", "two"u8.ToArray(), null, 1)));
        var fault = writer.Enqueue(transaction =>
        {
            if (transaction.LastId < 2)
                return; // the next attempt
            transaction.Execute("COMMIT");
            throw new SqliteException("The disk says that it failed.", SQLitePCL.raw.SQLITE_IOERR);
        });
        release();

        Assert.Equal(Refusal.StorageUnavailable, await ack.OrFail("the ack's answer"));
        Assert.False(await message.OrFail("the message's answer"));
        Assert.False(await fault.OrFail("the fault"));
        await Deadline.UntilAsync(() => Task.FromResult(bob.Mark == 2), "bob to be told that there is something to read");
        await Deadline.UntilAsync(() => Task.FromResult(alice.Take().Receipts is [(1, "alice", "bob")]), "alice's receipt");
    }

    [Fact]
    public async Task I2_An_ack_whose_commit_failed_tells_nobody_that_the_message_was_delivered()
    {
        await using var writer = await WriterHost.StartAsync();
        var alice = await writer.JoinAsync("alice");
        Assert.True(await writer.Enqueue(transaction => transaction.Insert(new Draft("alice", "bob", "hi"u8.ToArray(), null, 0)))
            .OrFail("a commit"));
        var release = await writer.HoldUpAsync(); // so that the next two are one batch
        var ack = writer.AckAsync("bob", 1);
        _ = writer.Enqueue(_ => throw new SqliteException("The disk says that it failed.", SQLitePCL.raw.SQLITE_IOERR));
        release();

        Assert.Equal(Refusal.StorageUnavailable, await ack.OrFail("the ack's answer"));
        await Deadline.UntilAsync(() => writer.Enqueue(_ => { }), "the recovery");
        Assert.Empty(alice.Take().Receipts);
        Assert.Equal(["hi"], writer.Texts()); // it is in the inbox
    }

    [Fact]
    public async Task I8_Whoever_cannot_be_told_harms_nobody_else()
    {
        await using var writer = await WriterHost.StartAsync();
        var release = await writer.HoldUpAsync();
        var left = writer.Enqueue(transaction => transaction.Insert(new Draft("alice", "bob", "left"u8.ToArray(), null, 0)));
        _ = writer.Enqueue(_ => { }, confirmed: () => throw new InvalidOperationException("a listener of somebody else's"));
        var right = writer.Enqueue(transaction => transaction.Insert(new Draft("alice", "bob", "right"u8.ToArray(), null, 0)));
        release();

        Assert.True(await left.OrFail("the left neighbour"));
        Assert.True(await right.OrFail("the right neighbour"));
        Assert.True(await writer.Enqueue(_ => { }).OrFail("a later commit"));
    }

    [Fact]
    public async Task I8_What_one_user_hands_in_fills_that_users_part_of_the_queue_and_no_more()
    {
        await using var writer = await WriterHost.StartAsync();
        var release = await writer.HoldUpAsync();
        var mallory = new UserShare("mallory");
        var ids = Enumerable.Range(1, IncomingFrame.MaxAckIds).Select(id => (long)id).ToArray();
        var acks = Enumerable.Range(0, 40).Select(_ => writer.AckAsync(mallory, ids)).ToArray(); // more than the whole queue holds
        var waiting = mallory.Waiting;
        var ahead = 0;
        var bystander = writer.Enqueue(_ => { }, confirmed: () => ahead = acks.Count(ack => ack.IsCompleted));
        release();

        Assert.InRange(waiting, WriteQueue.CapacityPerUser, WriteQueue.CapacityPerUser + ids.Length);
        Assert.True(await bystander.OrFail("the bystander's commit"));
        Assert.True(ahead <= 2 * waiting / ids.Length, "The bystander waited behind more than mallory's part of the queue.");
        Assert.All(await Task.WhenAll(acks).OrFail("all acks"), Assert.Null); // slowed down, not refused
    }

    [Fact]
    public async Task I4_Receipts_that_found_no_room_come_also_to_a_reader_that_has_messages_waiting()
    {
        const int Sent = Outbox.ReceiptCapacity + 100;
        await using var writer = await WriterHost.StartAsync();
        var alice = await writer.JoinAsync("alice");
        using var drain = writer.DrainOf(alice);
        drain.Next();
        Assert.True(await writer.Enqueue(db =>
        {
            for (var i = 0; i < Sent; i++)
                db.Insert(new Draft("alice", "bob", "hi"u8.ToArray(), null, 0));
        }).OrFail("a commit"));
        foreach (var ids in Enumerable.Range(1, Sent).Select(id => (long)id).Chunk(IncomingFrame.MaxAckIds))
            Assert.Null(await writer.AckAsync(new UserShare("bob"), ids).OrFail("an ack"));
        alice.Offer(new Message(Sent + 1, "bob", "alice", "hi"u8.ToArray(), 0));

        var (receipts, messages) = (new List<long>(), 0);
        do
        {
            var outbox = drain.Next();
            receipts.AddRange(outbox.Receipts.Select(receipt => receipt.Id));
            messages += outbox.Messages.Count;
        }
        while (drain.HasMore);

        Assert.Equal(Enumerable.Range(1, Sent).Select(id => (long)id), receipts);
        Assert.Equal(1, messages);
    }

    /// <summary>The writer on a database of its own.</summary>
    private sealed class WriterHost : IAsyncDisposable
    {
        private readonly TempFolder _folder = new();
        private readonly ServiceProvider _services = new ServiceCollection().AddMetrics().BuildServiceProvider();
        private readonly Database _database;
        private readonly MeterListener _listener = new();
        private readonly Connections _registry = new(new ChatOptions());
        private readonly Chat _chat;

        private WriterHost()
        {
            _database = new Database($"Data Source={_folder.DatabasePath}");
            var meters = _services.GetRequiredService<IMeterFactory>();
            _listener.InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Meter.Scope == meters && instrument.Name == "simplechat.commit.size")
                    listener.EnableMeasurementEvents(instrument);
            };
            _listener.SetMeasurementEventCallback<int>((_, size, _, _) => CommitSizes.Enqueue(size));
            _listener.Start();
            var metrics = new Metrics(meters);
            Core = new Writer(_database, metrics, new Traces(TimeProvider.System), TimeProvider.System, NullLogger<Writer>.Instance);
            var audience = new LocalAudience(_registry, () => Core.LastCommitted);
            Core.Recovered = audience.Recover;
            _chat = new Chat(
                audience, Core, new MessageReader(_database), new PageRoom(16), metrics, TimeProvider.System,
                NullLogger<Drain>.Instance);
        }

        public Writer Core { get; }

        public ConcurrentQueue<int> CommitSizes { get; } = [];

        public static async Task<WriterHost> StartAsync()
        {
            var writer = new WriterHost();
            await writer.Core.StartAsync(default);
            return writer;
        }

        /// <returns>Whether it was confirmed or refused, whichever came first.</returns>
        public Task<bool> Enqueue(Action<Transaction> write, Action? confirmed = null)
        {
            var pending = new Scripted(write, confirmed);
            _ = Core.EnqueueAsync(pending).AsTask();
            return pending.Answer.Task;
        }

        /// <summary>An ack as it comes from a client.</summary>
        /// <returns>Its answer: null, or the refusal.</returns>
        public Task<Refusal?> AckAsync(string user, long id) => AckAsync(new UserShare(user), [id]);

        /// <inheritdoc cref="AckAsync(string, long)"/>
        public async Task<Refusal?> AckAsync(UserShare share, long[] ids)
        {
            var reply = new Reply();
            await _chat.Writer.EnqueueAsync(new Delivery(_chat, share, IdRange.Of(ids), ids.Length, reply));
            return await reply.Outcome;
        }

        public Drain DrainOf(Connection connection) => _chat.DrainOf(connection);

        /// <summary>A connection of this user's, to hear what is delivered.</summary>
        public async Task<Connection> JoinAsync(string user)
        {
            var connection = new Connection(new UserShare(user));
            Assert.Null(await _chat.JoinAsync(connection, position: null));
            return connection;
        }

        /// <summary>Holds the writer up within a commit; what is enqueued meanwhile will be one batch.</summary>
        /// <returns>Lets it go on.</returns>
        public async Task<Action> HoldUpAsync()
        {
            var entered = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            var released = new ManualResetEventSlim();
            _ = Enqueue(_ =>
            {
                entered.TrySetResult();
                released.Wait(Deadline.Time);
            });
            await entered.Task.OrFail("the writer's attention");
            return released.Set;
        }

        public List<string> Texts()
        {
            using var connection = new SqliteConnection($"Data Source={_folder.DatabasePath};Pooling=False");
            connection.Open();
            using var select = connection.CreateCommand();
            select.CommandText = "SELECT Text FROM MessageDB JOIN InboxDB ON MessageId = Id ORDER BY Id";
            using var row = select.ExecuteReader();
            var texts = new List<string>();
            while (row.Read())
                texts.Add(row.GetString(0));
            return texts;
        }

        public async ValueTask DisposeAsync()
        {
            await Core.StopAsync(default);
            Core.Dispose();
            _database.Dispose();
            _listener.Dispose();
            await _services.DisposeAsync();
            _folder.Dispose();
        }

        private sealed class Scripted(Action<Transaction> write, Action? confirmed) : Write
        {
            public TaskCompletionSource<bool> Answer { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

            public override void Apply(ITransaction db) => write((Transaction)db);

            public override void Committed()
            {
                confirmed?.Invoke();
                Answer.TrySetResult(true);
            }

            public override void Unconfirmed() => Answer.TrySetResult(false);
        }
    }
}
