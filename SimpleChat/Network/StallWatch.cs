using System.Net.Sockets;

namespace SimpleChat.Network;

/// <summary>
/// Cuts off a peer that reads nothing. A write may take long while the peer reads slowly but steadily. So the operating system is asked
/// whether the peer has taken bytes since. The timer runs only while a write is under way.
/// </summary>
/// <param name="isEnding">Whether the connection is ending. Then a write may take only a short time.</param>
/// <param name="cut">Called when the peer reads nothing: ends the connection and closes its socket.</param>
/// <param name="network">The operating system's socket; null if there is none to ask.</param>
internal sealed class StallWatch(Func<bool> isEnding, Action cut, Socket? network, TimeSpan patience, TimeProvider time)
{
    /// <summary>How long a write may take once the connection is ending.</summary>
    private static readonly TimeSpan LastPatience = TimeSpan.FromSeconds(1);

    /// <summary>The longest time between two checks.</summary>
    private static readonly TimeSpan LongestLook = TimeSpan.FromMilliseconds(500);

    private long _writes; // begun and ended ones: odd while one is under way
    private int _isWatching;
    private long _endingAt; // used by the watch alone

    /// <summary>Waits until the operating system has taken a write, and watches it meanwhile. There is one at a time.</summary>
    public async ValueTask WatchAsync(ValueTask write)
    {
        Interlocked.Increment(ref _writes);
        Look();
        try
        {
            await write;
        }
        finally
        {
            Interlocked.Increment(ref _writes);
        }
    }

    private void Look()
    {
        if (Interlocked.Exchange(ref _isWatching, 1) == 0)
            _ = LookAsync();
    }

    /// <summary>Checks the write that is under way, until there is none. So an idle connection has no timer.</summary>
    private async Task LookAsync()
    {
        using var look = new PeriodicTimer(patience / 4 < LongestLook ? patience / 4 : LongestLook, time);
        var seen = (Write: 0L, Unsent: 0);
        var progressAt = 0L;
        while (await look.WaitForNextTickAsync() && Interlocked.Read(ref _writes) is var write && write % 2 != 0)
        {
            var now = time.GetTimestamp();
            var state = (write, SendQueue.Length(network));
            if (state != seen)
                (seen, progressAt) = (state, now);
            if (_endingAt == 0 && isEnding())
                _endingAt = now;
            if (time.GetElapsedTime(progressAt, now) >= patience || (_endingAt != 0 && time.GetElapsedTime(_endingAt, now) >= LastPatience))
                cut();
        }

        Interlocked.Exchange(ref _isWatching, 0);
        if (Interlocked.Read(ref _writes) % 2 != 0)
            Look(); // a write began meanwhile, and found this one watching
    }
}
