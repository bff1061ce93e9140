using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace SimpleChat.Network;

/// <summary>
/// Cuts off a peer that reads nothing. A write may take long while the peer reads slowly but steadily. So the operating system is asked
/// whether it holds less for the peer than before. The timer runs only while a write is under way.
/// </summary>
/// <param name="isEnding">Whether the connection is ending. Then a write may take only a short time.</param>
/// <param name="cut">Called when the peer reads nothing: ends the connection and closes its socket.</param>
/// <param name="network">The operating system's socket; null if there is none to ask.</param>
internal sealed class StallWatch(Func<bool> isEnding, Action cut, Socket? network, TimeSpan patience, TimeProvider time) : IDisposable
{
    /// <summary>How long a write may take once the connection is ending.</summary>
    private static readonly TimeSpan LastPatience = TimeSpan.FromSeconds(1);

    /// <summary>The longest time between two checks.</summary>
    private static readonly TimeSpan LongestLook = TimeSpan.FromMilliseconds(500);

    private readonly TimeSpan _look = patience / 4 < LongestLook ? patience / 4 : LongestLook;
    private ITimer? _timer;
    private long _writes; // begun and ended ones: odd while one is under way
    private int _isWatching;

    // Used by the timer alone.
    private (long Write, int Unsent) _seen;
    private long _progressAt, _endingAt;

    /// <summary>Called when a write begins. There is one at a time. <see cref="End"/> follows, unless the write throws.</summary>
    public void Begin()
    {
        Interlocked.Increment(ref _writes);
        Watch();
    }

    /// <summary>Called when the operating system has taken the write.</summary>
    public void End() => Interlocked.Increment(ref _writes);

    public void Dispose() => _timer?.Dispose();

    private void Watch()
    {
        if (Interlocked.Exchange(ref _isWatching, 1) == 0)
            _timer = time.CreateTimer(static watch => ((StallWatch)watch!).Look(), this, _look, _look);
    }

    private void Look()
    {
        var write = Interlocked.Read(ref _writes);
        if (write % 2 == 0)
        {
            Sleep();
            return;
        }

        var now = time.GetTimestamp();
        var seen = (write, Unsent());
        if (seen != _seen)
            (_seen, _progressAt) = (seen, now);
        if (!isEnding())
            _endingAt = 0;
        else if (_endingAt == 0)
            _endingAt = now;
        if (time.GetElapsedTime(_progressAt, now) < patience && (_endingAt == 0 || time.GetElapsedTime(_endingAt, now) < LastPatience))
            return;
        cut();
    }

    private void Sleep()
    {
        _timer!.Dispose();
        _timer = null; // an idle connection has none
        Interlocked.Exchange(ref _isWatching, 0);
        if (Interlocked.Read(ref _writes) % 2 != 0) // a write began meanwhile, and did not start the timer
            Watch();
    }

    /// <summary>
    /// Returns how many bytes the peer has not acknowledged (SIOCOUTQ, https://man7.org/linux/man-pages/man7/tcp.7.html). If that cannot be
    /// known, the number is always the same.
    /// </summary>
    private int Unsent()
    {
        if (network is null || !OperatingSystem.IsLinux())
            return 0;
        try
        {
            return Ioctl(network.SafeHandle, OutputQueue, out var unsent) == 0 ? unsent : 0;
        }
        catch (ObjectDisposedException)
        {
            return 0;
        }
    }

    private const nuint OutputQueue = 0x5411;

    [DllImport("libc", EntryPoint = "ioctl")]
    private static extern int Ioctl(SafeSocketHandle socket, nuint request, out int value);
}
