using System.Buffers.Binary;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections.Features;
using SimpleChat.Settings;

namespace SimpleChat.Network;

/// <summary>
/// Finds out that the peer of a long request has vanished without closing its connection. It checks from time to time whether the peer's
/// TCP still answers, and aborts the request if not. On other systems than Linux the operating system does this alone, which may take some
/// minutes.
/// </summary>
internal sealed class PeerSocket : IDisposable
{
    /// <summary>
    /// Linux's TCP_INFO, and the offsets of the numbers that are read (https://man7.org/linux/man-pages/man7/tcp.7.html, linux/tcp.h).
    /// </summary>
    private const int IpProtoTcp = 6, TcpInfo = 11, Probes = 3, Unacknowledged = 24, SinceAcknowledgement = 56, TcpInfoLength = 60;

    /// <summary>
    /// After this many unanswered probes the operating system itself closes the connection. This class does so long before.
    /// </summary>
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
            // The connection has ended already, or is not TCP.
        }
    }

    /// <summary>
    /// Watches the peer of a request until disposed. A vanished peer is found at the latest after
    /// <see cref="ChatOptions.KeepAliveInterval"/> plus <see cref="ChatOptions.KeepAliveTimeout"/>. The operating system counts in whole
    /// seconds (RFC 9293, section 3.8.4).
    /// </summary>
    public static PeerSocket Watch(HttpContext context, ChatOptions options, TimeProvider time) => new(context, options, time);

    public void Dispose() => _timer?.Dispose();

    private void Look()
    {
        if (HasVanished())
            _context.Abort();
    }

    /// <summary>
    /// Whether the peer's TCP has acknowledged nothing for too long, though data or a probe was sent. A peer that only reads nothing still
    /// acknowledges, and says that it has no room.
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
            return false; // the connection has ended already
        }

        static uint Number(ReadOnlySpan<byte> info, int at) =>
            BitConverter.IsLittleEndian
                ? BinaryPrimitives.ReadUInt32LittleEndian(info[at..])
                : BinaryPrimitives.ReadUInt32BigEndian(info[at..]);
    }

    private static int Seconds(TimeSpan time) => Math.Max(1, (int)time.TotalSeconds);
}
