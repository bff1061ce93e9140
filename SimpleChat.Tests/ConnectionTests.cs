namespace SimpleChat.Tests;

/// <summary>The connection object and the map by themselves, where the order of things can be forced or shuffled.</summary>
public sealed class ConnectionTests
{
    private static readonly ChatOptions Roomy = new() { ConnectionsPerUser = 1000 };

    [Fact]
    public void I5_A_connection_removes_only_itself_and_removing_it_twice_changes_nothing()
    {
        var map = new Connections(Roomy);
        var (older, newer) = (new Connection(new UserShare("bob")), new Connection(new UserShare("bob")));
        map.TryAdd(older);
        map.TryAdd(newer);

        map.Remove(older);
        map.Remove(older);

        Assert.Equal([newer], map.Of("bob"));
        Assert.Equal(1, map.Count);
    }

    [Fact]
    public async Task I5_Whatever_comes_and_goes_at_once_the_map_knows_who_is_there()
    {
        var map = new Connections(Roomy);
        var stayed = await Task.WhenAll(Enumerable.Range(0, 8).Select(worker => Task.Run(() =>
        {
            var random = new Random(worker);
            var mine = new List<Connection>();
            for (var step = 0; step < 20_000; step++)
            {
                if (mine.Count < 5 && random.Next(2) == 0)
                {
                    var connection = new Connection(new UserShare($"user{random.Next(3)}"));
                    Assert.Null(map.TryAdd(connection));
                    Assert.Contains(connection, map.Of(connection.User));
                    mine.Add(connection);
                }
                else if (mine.Count > 0)
                {
                    var gone = mine[random.Next(mine.Count)];
                    mine.Remove(gone);
                    map.Remove(gone);
                    Assert.DoesNotContain(gone, map.Of(gone.User));
                }
            }

            return mine;
        })));

        var open = stayed.SelectMany(mine => mine).ToHashSet();
        Assert.Equal(open, map.All.ToHashSet());
        Assert.Equal(open.Count, map.Count);
        foreach (var connection in open)
            map.Remove(connection);
        Assert.Equal(0, map.Count);
        Assert.Empty(map.All);
    }

    [Fact]
    public void The_limits_of_the_map_are_exact_and_a_refused_connection_leaves_no_trace()
    {
        var map = new Connections(new ChatOptions { ConnectionsPerUser = 2, MaxConnections = 3 });
        Connection[] bobs = [new(new UserShare("bob")), new(new UserShare("bob")), new(new UserShare("bob"))];
        Assert.Null(map.TryAdd(bobs[0]));
        Assert.Null(map.TryAdd(bobs[1]));
        Assert.Equal(Refusal.TooManyConnections, map.TryAdd(bobs[2]));
        Assert.Null(map.TryAdd(new Connection(new UserShare("alice"))));
        Assert.Equal(Refusal.ServerFull, map.TryAdd(new Connection(new UserShare("carol"))));
        Assert.Equal(3, map.Count);

        map.Remove(bobs[0]);
        Assert.Null(map.TryAdd(bobs[2]));
    }

    [Fact]
    public void I4_What_is_queued_is_bounded_and_what_did_not_fit_is_read_from_the_database()
    {
        var connection = new Connection(new UserShare("bob"));
        connection.StartBehind(position: 0, inboxUpTo: 0, committed: 0);
        for (var id = 1; id <= 10 * Outbox.MessageCapacity; id++)
            connection.Offer(new Message(id, "alice", "bob", "hi"u8.ToArray(), 0));

        Assert.True(connection.Position < connection.Mark);
        var mark = connection.Mark;
        Assert.Empty(connection.Take().Messages); // behind: the database is next
        connection.Passed(mark); // the drain has read it

        var queued = connection.Take().Messages;
        Assert.InRange(queued.Count, 0, Outbox.MessageCapacity);
        Assert.Equal(Enumerable.Range((int)mark + 1, queued.Count).Select(id => (long)id), queued.Select(message => message.Id));
        Assert.Equal(10 * Outbox.MessageCapacity, mark + queued.Count);
    }

    [Fact]
    public void I4_Large_texts_are_bounded_too_and_one_alone_always_fits()
    {
        var connection = new Connection(new UserShare("bob"));
        connection.StartBehind(position: 0, inboxUpTo: 0, committed: 0);
        var large = new byte[2 * Outbox.TextCapacity];

        connection.Offer(new Message(1, "alice", "bob", large, 0));
        Assert.False(connection.Position < connection.Mark);

        connection.Offer(new Message(2, "alice", "bob", "hi"u8.ToArray(), 0));
        Assert.Equal(2, connection.Mark);
    }

    [Fact]
    public void I3_A_message_committed_while_its_reader_joins_comes_out_of_the_database_and_not_out_of_the_queue_again()
    {
        var connection = new Connection(new UserShare("bob"));
        connection.Offer(new Message(41, "alice", "bob", "hi"u8.ToArray(), 0)); // joined the map already
        connection.StartBehind(position: 0, inboxUpTo: 41, committed: 41);

        Assert.True(connection.Position < connection.Mark);
        connection.Passed(41); // came out of the database
        Assert.Empty(connection.Take().Messages);
    }

    [Fact]
    public void What_was_sent_over_a_connection_that_has_everything_moves_its_position()
    {
        var connection = new Connection(new UserShare("bob"));
        connection.Skip(1);
        connection.Skip(600);
        Assert.Equal(600, connection.Position); // so that none of it is read from the database later
    }

    [Fact]
    public void What_was_sent_while_a_connection_was_behind_is_its_own_and_what_was_sent_from_elsewhere_is_not()
    {
        var connection = new Connection(new UserShare("bob"));
        connection.Offer(new Message(1, "alice", "bob", "hi"u8.ToArray(), 0)); // is still to be passed on
        connection.Skip(2);
        connection.Skip(3);
        connection.Offer(OfBob(4));
        connection.Skip(5);

        Assert.Equal([2, 3, 5], Enumerable.Range(1, 5).Where(id => connection.IsOwn(OfBob(id))));

        static Message OfBob(long id) => new(id, "bob", "carol", "hi"u8.ToArray(), 0);
    }

    [Fact]
    public void Receipts_that_find_no_room_are_known_by_their_range()
    {
        var connection = new Connection(new UserShare("alice"));
        for (var id = 1; id <= Outbox.ReceiptCapacity + 1; id++)
            connection.Tell(new Receipt(id, "alice", "bob"));

        var outbox = connection.Take();
        Assert.Empty(outbox.Receipts);
        Assert.Equal(new IdRange(1, Outbox.ReceiptCapacity + 1), outbox.MissedReceipts);
    }

    [Fact]
    public async Task I7_Whoever_waits_for_room_is_let_go_when_the_connection_ends()
    {
        var connection = new Connection(new UserShare("alice"));
        var answers = new Answers(connection);
        for (var i = 0; i < Answers.Capacity; i++)
            Assert.NotNull(answers.Begin(clientMessageId: null));
        var waiting = answers.WaitForRoomAsync();
        Assert.False(waiting.IsCompleted);

        connection.End(ConnectionEnd.PeerGone);
        answers.End(); // as the line does when it writes no more

        await waiting.OrFail("the end of the wait");
        Assert.Null(answers.Begin(clientMessageId: null));
    }
}
