using System.Buffers.Binary;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections.Features;
using SimpleChat.Settings;

namespace SimpleChat.Network;

/// <summary>
/// Finds out that the peer of a request that stays has vanished without a word of TCP: it is looked every now and then whether the peer's
/// TCP still answers, and if it does not, the request is aborted. Where the operating system is not Linux this is left to it: that may take
/// some minutes.
/// </summary>
internal sealed class PeerSocket : IDisposable
{
    /// <summary>
    /// TCP_INFO of Linux, and where in it some numbers are (https://man7.org/linux/man-pages/man7/tcp.7.html, linux/tcp.h).
    /// </summary>
    private const int IpProtoTcp = 6, TcpInfo = 11, Probes = 3, Unacknowledged = 24, SinceAcknowledgement = 56, TcpInfoLength = 60;

    /// <summary>Probes without an answer after which the operating system itself gives the peer up: long after this class does.</summary>
    private const int MostProbes = 12;

    private readonly HttpContext _context;
    private readonly Socket? _socket;
    private readonly TimeSpan _patience;
    private readonly ITimer? _timer;

    private PeerSocket(HttpContext context, ChatOptions options, TimeProvider time)
    {
        _context = context;
        _socket = context.Features.Get<IConnectionSocketFeature>()?.Socket;
        if (_socket is null || !OperatingSystem.IsLinux())
            return;
        var look = options.KeepAliveInterval < options.KeepAliveTimeout ? options.KeepAliveInterval : options.KeepAliveTimeout;
        var silence = Seconds(look / 2);
        _patience = TimeSpan.FromSeconds(Math.Max(options.KeepAliveTimeout.TotalSeconds, silence + 1));
        try
        {
            _socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, silence);
            _socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, Seconds(options.KeepAliveTimeout / 3));
            _socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, MostProbes);
            _socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
            _timer = time.CreateTimer(_ => Look(), null, look, look);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // It has ended already, or is no TCP.
        }
    }

    /// <summary>
    /// Watches the peer of a request until disposed. One that vanished is found after <see cref="ChatOptions.KeepAliveInterval"/> and
    /// <see cref="ChatOptions.KeepAliveTimeout"/> at the latest; the operating system counts in whole seconds (RFC 9293, section 3.8.4).
    /// </summary>
    public static PeerSocket Watch(HttpContext context, ChatOptions options, TimeProvider time) => new(context, options, time);

    public void Dispose() => _timer?.Dispose();

    private void Look()
    {
        if (HasVanished())
            _context.Abort();
    }

    /// <summary>
    /// Whether something was sent, a probe at least, and the peer's TCP has acknowledged nothing for too long. A peer that merely reads
    /// nothing does acknowledge: it says that it has no room.
    /// </summary>
    private bool HasVanished()
    {
        Span<byte> info = stackalloc byte[TcpInfoLength];
        try
        {
            return _socket!.GetRawSocketOption(IpProtoTcp, TcpInfo, info) >= TcpInfoLength
                && (info[Probes] > 0 || Number(info, Unacknowledged) > 0)
                && Number(info, SinceAcknowledgement) >= _patience.TotalMilliseconds;
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            return false; // it has ended already
        }

        static uint Number(ReadOnlySpan<byte> info, int at) =>
            BitConverter.IsLittleEndian
                ? BinaryPrimitives.ReadUInt32LittleEndian(info[at..])
                : BinaryPrimitives.ReadUInt32BigEndian(info[at..]);
    }

    private static int Seconds(TimeSpan time) => Math.Max(1, (int)time.TotalSeconds);
}
