namespace SimpleChat.Tests;

/// <summary>I8: connections wait for each other's pages, and room that is free is not forgotten.</summary>
public sealed class PageRoomTests
{
    private readonly PageRoom _room = new(1);

    [Fact]
    public void Who_is_woken_for_room_and_takes_none_passes_it_on()
    {
        var (holder, first, second) = (Reader("holder"), Reader("first"), Reader("second"));
        Assert.True(_room.TryTake(holder));
        Assert.False(_room.TryTake(first));
        Assert.False(_room.TryTake(second));
        _room.Return(holder);
        Assert.True(WasWoken(first));
        _room.PassOn(first); // what it had to write is small now, or its user is in debt
        Assert.True(WasWoken(second));
        Assert.True(_room.TryTake(second));
    }

    [Fact]
    public void Who_leaves_after_being_woken_passes_the_room_on()
    {
        var (holder, first, second) = (Reader("holder"), Reader("first"), Reader("second"));
        Assert.True(_room.TryTake(holder));
        Assert.False(_room.TryTake(first));
        Assert.False(_room.TryTake(second));
        _room.Return(holder);
        _room.Leave(first);
        Assert.True(WasWoken(second));
    }

    [Fact]
    public void Who_was_faster_than_the_one_that_was_woken_does_not_keep_the_room_from_it()
    {
        var (holder, slow, fast) = (Reader("holder"), Reader("slow"), Reader("fast"));
        Assert.True(_room.TryTake(holder));
        Assert.False(_room.TryTake(slow));
        Assert.False(_room.TryTake(fast));
        _room.Return(holder);
        Assert.True(WasWoken(slow));
        Assert.True(_room.TryTake(fast)); // something else woke it
        Assert.False(_room.TryTake(slow));
        _room.Return(fast);
        _room.PassOn(fast);
        Assert.True(WasWoken(slow));
        Assert.True(_room.TryTake(slow));
    }

    private static PageRoom.Place Reader(string user) => new(new Signal(), new UserShare(user));

    private static bool WasWoken(PageRoom.Place place) => place.Signal.WaitAsync().AsTask().IsCompleted;
}
