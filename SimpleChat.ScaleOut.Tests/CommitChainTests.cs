using System.Globalization;

namespace SimpleChat.Tests;

/// <summary>
/// Order proved by the number: whatever a broker does to announcements, and whenever somebody joins, everybody gets each message once and
/// in order.
/// </summary>
public sealed class CommitChainTests
{
    private const int Messages = 300;

    [Xunit.Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void I3_Announcements_that_are_lost_doubled_or_shuffled_change_nothing_for_whoever_joins_at_whatever_moment(int seed)
    {
        for (var round = 0; round < 50; round++)
            Play(new Random((1000 * seed) + round), $"seed {seed}, round {round}");
    }

    [Xunit.Fact]
    public void A_message_that_this_node_has_sent_goes_back_to_no_connection_that_sent_it_however_it_is_found()
    {
        var offered = new List<Commit>();
        var chain = new CommitChain(offered.Add, TimeProvider.System);
        var origin = new Connection(new UserShare("alice"));
        chain.CommitBegins();
        Assert.False(chain.HasAdded(chain.Begun)); // a look that finds the commit waits for this node
        chain.CommitEnds(last: 2);
        chain.Add(new Commit(2, "alice", "bob", Stored(2), IsOwn: true, origin)); // early: 1 is another node's
        Assert.True(chain.HasAdded(chain.Begun));
        Assert.Empty(offered);
        chain.AddRead([Stored(1), Stored(2)], upTo: 2);
        Assert.Equal([(1, null), (2, origin)], offered.Select(commit => ((int)commit.Id, commit.Origin)));
    }

    [Xunit.Fact]
    public void What_was_erased_ends_no_look()
    {
        var offered = new List<long>();
        var chain = new CommitChain(commit => offered.Add(commit.Id), TimeProvider.System);
        chain.AddRead([Stored(2), Stored(5)], upTo: 7);
        chain.Add(new Commit(Stored(8)));
        Assert.Equal([2, 5, 8], offered);
        Assert.Equal(8, chain.Known);
    }

    [Xunit.Fact]
    public void Announcements_are_read_as_they_were_written_and_texts_go_where_somebody_is()
    {
        var to = new Announcement(
            "node", 6, 7, [new Commit(Stored(41)), new Commit(Stored(42) with { To = "carol" })], [new(new Receipt(3, "a", "b"), 99)]);
        var read = Announcement.Read(to.Write(user => user == "carol"));
        Assert.Equal(("node", 6, 7), (read.Publisher, (int)read.After, (int)read.Number));
        Assert.Equal([(41, false), (42, true)], read.Commits.Select(commit => ((int)commit.Id, commit.Message is not null)));
        Assert.Equal(Stored(42).Text, read.Commits[1].Message!.Text);
        Assert.Equal(to.Delivered, read.Delivered);
    }

    /// <summary>A list of commits, a broker that does what it likes, a database, and readers who come at random moments.</summary>
    private static void Play(Random random, string where)
    {
        var committed = 0L;
        var onTheirWay = new List<Commit>();
        var readers = new List<Reader>();
        CommitChain chain = null!;
        chain = new CommitChain(commit =>
        {
            readers.ForEach(reader => reader.Offer(commit));
            if (random.Next(20) == 0)
                Join(); // on another thread, just now
        }, TimeProvider.System);
        while (committed < Messages || chain.Known < committed)
        {
            switch (random.Next(6))
            {
                case 0 when committed < Messages:
                    for (var i = random.Next(1, 6); i > 0 && committed < Messages; i--)
                    {
                        var message = Stored(++committed);
                        for (var copies = random.Next(100) switch { < 20 => 0, < 40 => 2, _ => 1 }; copies > 0; copies--)
                            onTheirWay.Add(random.Next(4) == 0 ? new Commit(message) with { Message = null } : new Commit(message));
                    }

                    break;
                case 1 or 2 or 3 when onTheirWay.Count > 0:
                    var one = random.Next(Math.Min(onTheirWay.Count, 8)); // they overtake one another, but not by much
                    chain.Add(onTheirWay[one]);
                    onTheirWay.RemoveAt(one);
                    break;
                case 4 when random.Next(8) == 0: // the look
                    var (known, upTo) = (chain.Known, random.NextInt64(chain.Known, committed + 1));
                    chain.AddRead([.. Enumerable.Range(1, (int)upTo).Where(id => id > known).Select(id => Stored(id))], upTo);
                    break;
                case 5 when random.Next(20) == 0:
                    Join();
                    break;
            }
        }

        Assert.All(readers, reader => Assert.True(reader.Got == Messages && reader.IsSound, where));

        void Join()
        {
            readers.Add(new Reader()); // first into the map, then the mark
            readers[^1].Mark = readers[^1].Got = chain.Known;
        }
    }

    private static Message Stored(long id) =>
        new(id, "alice", "bob", System.Text.Encoding.UTF8.GetBytes(id.ToString(CultureInfo.InvariantCulture)), id);

    private sealed class Reader
    {
        public long Mark { get; set; }

        public long Got { get; set; }

        public bool IsSound { get; private set; } = true;

        public void Offer(Commit commit)
        {
            IsSound &= commit.Id == Got + 1;
            Got = commit.Id;
        }
    }
}
