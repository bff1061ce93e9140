using Microsoft.Extensions.Logging.Abstractions;

namespace SimpleChat.Tests;

/// <summary>I8: connections wait for each other's pages, and room that is free is not forgotten.</summary>
public sealed class PageRoomTests : IDisposable
{
    private readonly PageRoom _room = new(1);

    [Fact]
    public async Task Who_is_woken_for_room_and_takes_none_passes_it_on()
    {
        var (holder, first, second) = (Reader("holder"), Reader("first"), Reader("second"));
        Assert.True(holder.TryTake());
        Assert.False(first.TryTake());
        Assert.False(second.TryTake());
        holder.Return();
        await WokenAsync(first.Signal);
        first.PassOn(); // what it had to write is small now, or its user is in debt
        await WokenAsync(second.Signal);
        Assert.True(second.TryTake());
    }

    [Fact]
    public async Task Who_leaves_after_being_woken_passes_the_room_on()
    {
        var (holder, first, second) = (Reader("holder"), Reader("first"), Reader("second"));
        Assert.True(holder.TryTake());
        Assert.False(first.TryTake());
        Assert.False(second.TryTake());
        holder.Return();
        first.Dispose();
        await WokenAsync(second.Signal);
    }

    [Fact]
    public async Task Who_was_faster_than_the_one_that_was_woken_does_not_keep_the_room_from_it()
    {
        var (holder, slow, fast) = (Reader("holder"), Reader("slow"), Reader("fast"));
        Assert.True(holder.TryTake());
        Assert.False(slow.TryTake());
        Assert.False(fast.TryTake());
        holder.Return();
        Assert.False(fast.TryTake()); // something else woke it
        fast.PassOn();
        await WokenAsync(slow.Signal);
        Assert.True(slow.TryTake());
    }

    [Fact]
    public async Task A_drain_that_was_woken_for_room_and_has_nothing_large_any_more_passes_it_on()
    {
        string[] users = ["holder", "first", "second"];
        var connections = Array.ConvertAll(users, user => new Connection(new UserShare(user)));
        var drains = Array.ConvertAll(connections, connection =>
            new Drain(connection, null!, _room, TimeProvider.System, NullLogger<Drain>.Instance)); // nothing is read from the database
        foreach (var (connection, drain) in connections.Zip(drains))
        {
            connection.Offer(new Message(1, "alice", connection.User, new byte[60_000], 0));
            await connection.Signal.WaitAsync();
            Assert.Equal(drain == drains[0] ? 1 : 0, drain.Next().Messages.Count);
        }

        drains[0].Next(); // what the holder had is written
        await WokenAsync(connections[1].Signal);
        connections[1].End(ConnectionEnd.PeerGone);
        Assert.Empty(drains[1].Next().Messages);
        await WokenAsync(connections[2].Signal);
        Assert.Single(drains[2].Next().Messages);
    }

    [Fact]
    public async Task A_page_ends_when_its_texts_are_128_KiB_and_says_how_far_it_goes()
    {
        var rows = Enumerable.Range(1, 10).Select(id => new Message(id, "alice", "bob", new byte[30_000], 0)).ToArray();
        var page = await Page.OfAsync(rows.ToAsyncEnumerable(), upTo: 99);
        Assert.Equal((5, 5), (page.Messages.Count, page.UpTo));
        page = await Page.OfAsync(rows[5..].ToAsyncEnumerable(), upTo: 99);
        Assert.Equal((5, 99), (page.Messages.Count, page.UpTo));
    }

    private PageRoom.Place Reader(string user) => new(_room, new UserShare(user), new Signal());

    public void Dispose() => _room.Dispose();

    private static Task WokenAsync(Signal signal) => signal.WaitAsync().AsTask().OrFail("the wake");
}
