using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace SimpleChat.Network;

/// <summary>
/// Cuts off a peer that takes nothing. Writing to it takes long while it takes a little, steadily; so the operating system is asked whether
/// what it holds for the peer gets less. Its timer runs only while something is being written.
/// </summary>
/// <param name="writer">Who writes.</param>
/// <param name="network">The operating system's socket; null if it cannot be asked.</param>
/// <param name="patience">How long the peer may take nothing.</param>
/// <param name="time">The clock.</param>
internal sealed class StallWatch(IWritesToPeer writer, Socket? network, TimeSpan patience, TimeProvider time) : IDisposable
{
    /// <summary>How long a write may take once the connection is ending.</summary>
    private static readonly TimeSpan LastPatience = TimeSpan.FromSeconds(1);

    /// <summary>It is looked so often, for long patience.</summary>
    private static readonly TimeSpan LongestLook = TimeSpan.FromMilliseconds(500);

    private readonly TimeSpan _look = patience / 4 < LongestLook ? patience / 4 : LongestLook;
    private ITimer? _timer;
    private long _writes; // odd while one is under way
    private int _isWatching;

    // The timer's alone.
    private (long Write, int Unsent) _seen;
    private long _progressAt, _endingAt;

    /// <summary>A write is under way. One at a time; each is followed by <see cref="End"/>, unless it throws.</summary>
    public void Begin()
    {
        Interlocked.Increment(ref _writes);
        Watch();
    }

    /// <summary>The network has taken it.</summary>
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
        if (!writer.IsEnding)
            _endingAt = 0;
        else if (_endingAt == 0)
            _endingAt = now;
        if (time.GetElapsedTime(_progressAt, now) < patience && (_endingAt == 0 || time.GetElapsedTime(_endingAt, now) < LastPatience))
            return;
        writer.PeerStalled();
    }

    private void Sleep()
    {
        _timer!.Dispose();
        _timer = null; // an idle connection has none
        Interlocked.Exchange(ref _isWatching, 0);
        if (Interlocked.Read(ref _writes) % 2 != 0) // one began meanwhile, and took it for watched
            Watch();
    }

    /// <summary>
    /// Bytes that the peer has not taken yet (SIOCOUTQ, https://man7.org/linux/man-pages/man7/tcp.7.html); a number that says nothing if
    /// that cannot be known.
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

/// <summary>Whoever writes to a peer that may take nothing any more.</summary>
internal interface IWritesToPeer
{
    /// <summary>Whether the connection is ending: then a write may not take long any more.</summary>
    bool IsEnding { get; }

    /// <summary>The peer takes nothing: ends the connection and cuts the line.</summary>
    void PeerStalled();
}
