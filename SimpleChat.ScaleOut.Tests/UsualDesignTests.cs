using System.Text;

namespace SimpleChat.Tests;

/// <summary>
/// How the usual picture of a chat on many servers loses messages: three of its rules, each as a model of a few lines, in a moment that
/// happens every day. Beside each, the rule that takes its place.
/// </summary>
public sealed class UsualDesignTests
{
    [Xunit.Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void An_inbox_that_is_written_only_for_who_is_offline_loses_what_is_sent_to_a_server_that_has_just_died(bool writtenFirst)
    {
        var map = new Dictionary<string, string> { ["bob"] = "server2" }; // the entry of a server that is gone stays until it expires
        var alive = new HashSet<string> { "server1" };
        List<string> inbox = [], pushed = [];

        void Send(string to, string text)
        {
            var isOnline = map.TryGetValue(to, out var server);
            if (writtenFirst || !isOnline)
                inbox.Add(text);
            if (isOnline && alive.Contains(server!)) // otherwise the broker has nobody to bring it to
                pushed.Add(text);
        }

        Send("bob", "hi");
        Assert.Empty(pushed);
        Assert.Equal(writtenFirst ? ["hi"] : [], inbox); // what bob finds when he is back
    }

    [Xunit.Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_client_that_resumes_after_what_came_last_loses_what_the_broker_brings_late(bool heldUntilItsTurn)
    {
        Commit first = Stored(1), second = Stored(2);
        var seen = new List<long>();
        Action<Commit> receive = commit => seen.Add(commit.Id);
        if (heldUntilItsTurn)
            receive = new CommitChain(receive, TimeProvider.System).Add;

        receive(second); // two servers have announced at the same moment, and the broker has its own idea of who was first
        var position = seen.LastOrDefault(); // bob's line breaks before the other one comes
        seen.AddRange(new[] { first, second }.Select(commit => commit.Id).Where(id => id > position));
        Assert.Equal(heldUntilItsTurn ? [1, 2] : [2], seen);
    }

    [Xunit.Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_client_that_resumes_after_a_time_loses_what_a_server_with_a_late_clock_stores(bool numbered)
    {
        const long Late = 1000; // server1's clock is a second behind
        var table = new List<(long Id, long SentAt, string Text)>();

        void Store(string text, long clock) => table.Add((table.Count + 1, clock, text)); // the number is given out with the commit

        List<string> Read(long after) =>
            [.. table.Where(row => (numbered ? row.Id : row.SentAt) > after).Select(row => row.Text)];

        Store("from server2", clock: 5000);
        var seen = Read(after: 0);
        var position = numbered ? table[^1].Id : table[^1].SentAt;
        Store("from server1", clock: 5100 - Late);
        seen.AddRange(Read(position));
        Assert.Equal(numbered ? ["from server2", "from server1"] : ["from server2"], seen);
    }

    private static Commit Stored(long id) => new(new Message(id, "alice", "bob", Encoding.UTF8.GetBytes($"{id}"), id));
}
