using System.Diagnostics.Metrics;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit.Abstractions;

namespace SimpleChat.Tests.Batteries;

/// <summary>
/// I3 and I5 without a network in between: the writer, catching up and the map, pushed into each other at random. Each round is one sender
/// and some readers who come and go, with pauses drawn from the seed. The long run: <c>ROUNDS=20000 dotnet test -c Release --filter
/// InterleavingBattery</c>.
/// </summary>
[Trait("Category", Battery.Category)]
public sealed class InterleavingBattery(ITestOutputHelper output)
{
    private const int AtOnce = 8, Readers = 3;

    [Fact]
    public async Task I3_However_writer_catch_up_and_map_interleave_every_reader_gets_everything_once_and_in_order()
    {
        var seed = Battery.Seed(output);
        var rounds = Battery.Rounds(300);
        await using var core = await Core.StartAsync();
        var (visits, messages) = (0, 0);
        var atOnce = new ParallelOptions { MaxDegreeOfParallelism = AtOnce };
        await Parallel.ForEachAsync(Enumerable.Range(0, rounds), atOnce, async (round, _) =>
        {
            var random = new Random(unchecked(seed + round));
            var total = random.Next(20) == 0 ? 3 * Outbox.MessageCapacity : random.Next(1, 30);
            // Which of them reads the inbox: one at most, for what one has acknowledged no other would find there.
            var drains = random.Next(Readers + 1);
            var readers = Enumerable.Range(0, Readers)
                .Select(i => ReadAsync(core, $"bob{round}", total, fromInbox: i == drains, new Random(random.Next()))).ToArray();
            var sent = await SendAsync(core, round, total, random);
            foreach (var (seen, came) in await Task.WhenAll(readers).OrFail($"everything read in round {round} of SEED={seed}"))
            {
                Assert.True(sent.SequenceEqual(seen),
                    $"Round {round} of SEED={seed}: sent {string.Join(' ', sent)}; read {string.Join(' ', seen)}");
                Interlocked.Add(ref visits, came);
            }

            Interlocked.Add(ref messages, total);
        });
        Assert.Equal(0, core.Registry.Count);
        Assert.Empty(core.Registry.All);
        output.WriteLine($"{rounds} interleavings, {messages} messages, {visits} visits");
    }

    [Fact]
    public async Task I3_Whoever_joins_in_a_flood_of_commits_misses_none_between_the_database_and_the_queue()
    {
        var seed = Battery.Seed(output);
        var joins = 40 * Battery.Rounds(300);
        await using var core = await Core.StartAsync();
        using var enough = new CancellationTokenSource();
        var flood = FloodAsync(core, enough.Token); // of messages to bob and nobody else: their ids leave no hole
        var looked = 0;
        await Task.WhenAll(Enumerable.Range(0, Readers).Select(reader => Task.Run(async () =>
        {
            var random = new Random(unchecked(seed + reader));
            for (var join = 0; join < joins / Readers; join++)
            {
                var connection = new Connection(new UserShare("bob"));
                Thread.SpinWait(random.Next(2000)); // the commit that ended the join before does not say when the next one comes
                Assert.Null(await core.Chat.JoinAsync(connection, position: null));
                var read = connection.Mark;
                connection.Passed(read); // as if the database had been read up to there
                if (await FirstAsync(connection) is { } first)
                {
                    Assert.Equal(read + 1, first);
                    Interlocked.Increment(ref looked);
                }

                core.Chat.Leave(connection);
            }
        })));
        await enough.CancelAsync();
        output.WriteLine($"{joins} joins, {looked} of them seen to miss nothing, {await flood} messages meanwhile");
        Assert.True(looked > joins / 2, $"Only {looked} of {joins} joins had a queue to look at.");

        // null if so much was committed meanwhile that the queue was dropped.
        static async Task<long?> FirstAsync(Connection connection)
        {
            while (true)
            {
                await connection.Signal.WaitAsync().AsTask().OrFail("a message");
                var outbox = connection.Take();
                var first = outbox.Messages.FirstOrDefault()?.Id;
                Outbox.Pool.Return(outbox);
                if (first is not null || connection.Position < connection.Mark)
                    return first;
            }
        }
    }

    private static async Task<int> FloodAsync(Core core, CancellationToken enough)
    {
        var count = 0;
        while (!enough.IsCancellationRequested)
        {
            var reply = new Reply();
            var draft = new Draft("alice", "bob", "hi"u8.ToArray(), null, 0);
            await new Send(core.Chat, new UserShare("alice"), draft, reply).ReceivedAsync();
            Assert.Null(await reply.Outcome.OrFail("a commit"));
            count++;
        }

        return count;
    }

    private static async Task<List<long>> SendAsync(Core core, int round, int total, Random random)
    {
        var sends = new List<Reply>();
        for (var i = 0; i < total; i++)
        {
            var reply = new Reply();
            var text = $"{i}{new string(' ', random.Next(8) == 0 ? 9_000 : 0)}"; // the longer ones wait for room
            var draft = new Draft($"alice{round}", $"bob{round}", Encoding.UTF8.GetBytes(text), null, 0);
            await new Send(core.Chat, new UserShare($"alice{round}"), draft, reply).ReceivedAsync();
            sends.Add(reply);
            if (total < Outbox.MessageCapacity)
                await PauseAsync(random);
        }

        foreach (var send in sends)
            Assert.Null(await send.Outcome.OrFail("a commit"));
        return sends.ConvertAll(send => send.Message!.Id);
    }

    /// <summary>
    /// Comes and goes until it has seen everything; drains as a transport does. It resumes after what it has seen, or reads the inbox: of
    /// that it acknowledges some before it leaves, and may be back before they are gone. What it has already is dropped by its id then.
    /// </summary>
    private static async Task<(List<long> Seen, int Visits)> ReadAsync(Core core, string user, int total, bool fromInbox, Random random)
    {
        var seen = new List<long>();
        var (acknowledged, gone) = (new HashSet<long>(), new HashSet<long>()); // gone: that it was acknowledged is on disk
        var visits = 0;
        while (seen.Count < total)
        {
            visits++;
            var connection = new Connection(new UserShare(user));
            var came = new List<long>();
            Assert.Null(await core.Chat.JoinAsync(connection, fromInbox ? null : seen.Count == 0 ? "0" : $"{seen[^1]}"));
            using var drain = core.Chat.DrainOf(connection);
            for (var looks = random.Next(1, 4); looks > 0 && seen.Count < total; looks--)
            {
                await PauseAsync(random);
                var messages = drain.Next().Messages;
                await PauseAsync(random);
                foreach (var id in messages.Select(message => message.Id))
                {
                    came.Add(id);
                    if (!fromInbox || seen.Count == 0 || id > seen[^1])
                        seen.Add(id);
                }

                if (!drain.HasMore && messages.Count == 0 && looks > 1 && random.Next(4) == 0)
                    await WaitAsync(connection);
            }

            if (fromInbox && came.Count > 0)
            {
                Assert.Equal(came.Order().Distinct(), came); // on one connection ids only rise
                Assert.DoesNotContain(came, gone.Contains);
                // What was not comes again.
                Assert.Subset(came.ToHashSet(), seen.Where(id => id <= came[^1] && !acknowledged.Contains(id)).ToHashSet());
                var some = came.FindAll(_ => random.Next(4) > 0);
                acknowledged.UnionWith(some);
                if (await AckAsync(core, user, some, waits: random.Next(2) == 0))
                    gone.UnionWith(some);
            }

            core.Chat.Leave(connection);
        }

        return (seen, visits);
    }

    /// <returns>Whether it has waited until they are gone.</returns>
    private static async Task<bool> AckAsync(Core core, string user, List<long> ids, bool waits)
    {
        var reply = new Reply();
        await core.Chat.Writer.EnqueueAsync(new Delivery(core.Chat, new UserShare(user), IdRange.Of(ids), ids.Count, reply));
        if (waits)
            Assert.Null(await reply.Outcome.OrFail("a commit"));
        return waits;
    }

    /// <summary>Until there is something, or it is time to leave: the sender may have nothing more.</summary>
    private static async Task WaitAsync(Connection connection)
    {
        using var leave = new CancellationTokenSource(TimeSpan.FromMilliseconds(50));
        using var leaving = leave.Token.Register(connection.Signal.Set);
        await connection.Signal.WaitAsync();
    }

    private static async ValueTask PauseAsync(Random random)
    {
        switch (random.Next(6))
        {
            case 0:
                await Task.Yield();
                break;
            case 1:
                Thread.SpinWait(random.Next(2000));
                break;
            case 2: // about as long as a commit
                await Task.Delay(1);
                break;
        }
    }

    /// <summary>The core without a way in or out.</summary>
    private sealed class Core : IAsyncDisposable
    {
        private readonly TempFolder _folder = new();
        private readonly ServiceProvider _services = new ServiceCollection().AddMetrics().BuildServiceProvider();
        private readonly Database _database;
        private readonly Writer _writer;

        private Core()
        {
            var options = new ChatOptions { MessagesPerSecond = 0 };
            _database = new Database($"Data Source={_folder.DatabasePath}");
            var metrics = new Metrics(_services.GetRequiredService<IMeterFactory>());
            _writer = new Writer(_database, metrics, new Traces(TimeProvider.System), TimeProvider.System, NullLogger<Writer>.Instance);
            Registry = new Connections(options);
            var audience = new LocalAudience(Registry, () => _writer.LastCommitted);
            _writer.Recovered = audience.Recover;
            Chat = new Chat(
                audience, _writer, new MessageReader(_database), new PageRoom(2), metrics, TimeProvider.System,
                NullLogger<Drain>.Instance);
        }

        public Connections Registry { get; }

        public Chat Chat { get; }

        public static async Task<Core> StartAsync()
        {
            var core = new Core();
            await core._writer.StartAsync(default);
            return core;
        }

        public async ValueTask DisposeAsync()
        {
            await _writer.StopAsync(default);
            _writer.Dispose();
            _database.Dispose();
            await _services.DisposeAsync();
            _folder.Dispose();
        }
    }
}
