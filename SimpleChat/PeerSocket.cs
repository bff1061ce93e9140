using System.Buffers.Binary;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections.Features;

namespace SimpleChat;

/// <summary>What the operating system knows of a peer that is silent: a request that waits hears nothing of one that vanished without a word of TCP.</summary>
internal static class PeerSocket
{
    /// <summary>TCP_INFO of Linux, and where in it two numbers are (https://man7.org/linux/man-pages/man7/tcp.7.html, linux/tcp.h).</summary>
    private const int IpProtoTcp = 6, TcpInfo = 11, Unacknowledged = 24, SinceAcknowledgement = 56, TcpInfoLength = 60;

    /// <summary>Probes without an answer after which the operating system gives a peer up.</summary>
    private const int Probes = 3;

    /// <summary>
    /// For a request that waits and writes nothing: the operating system asks the peer after <see cref="ChatOptions.KeepAliveInterval"/> of silence, and cuts the
    /// connection when nothing came back for <see cref="ChatOptions.KeepAliveTimeout"/>. It counts in whole seconds, at least one each (RFC 9293, section 3.8.4).
    /// </summary>
    public static void KeepAlive(HttpContext context, ChatOptions options)
    {
        if (context.Features.Get<IConnectionSocketFeature>()?.Socket is not { } socket)
            return;
        var probes = Math.Clamp(Seconds(options.KeepAliveTimeout), 1, Probes);
        try
        {
            socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, Seconds(options.KeepAliveInterval));
            socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, Seconds(options.KeepAliveTimeout / probes));
            socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, probes);
            socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // It has ended already, or is no TCP.
        }

        static int Seconds(TimeSpan time) => Math.Max(1, (int)time.TotalSeconds);
    }

    /// <summary>
    /// Whether something was sent to the peer, and the peer's TCP has acknowledged nothing for so long. One that merely reads nothing does acknowledge: it says that
    /// it has no room. False where the operating system is not Linux, and gives up by itself after some minutes.
    /// </summary>
    public static bool HasVanished(HttpContext context, TimeSpan patience)
    {
        if (!OperatingSystem.IsLinux() || context.Features.Get<IConnectionSocketFeature>()?.Socket is not { } socket)
            return false;
        Span<byte> info = stackalloc byte[TcpInfoLength];
        try
        {
            return socket.GetRawSocketOption(IpProtoTcp, TcpInfo, info) >= TcpInfoLength
                && Number(info, Unacknowledged) > 0 && Number(info, SinceAcknowledgement) >= patience.TotalMilliseconds;
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            return false; // it has ended already, or is no TCP
        }

        static uint Number(ReadOnlySpan<byte> info, int at) =>
            BitConverter.IsLittleEndian ? BinaryPrimitives.ReadUInt32LittleEndian(info[at..]) : BinaryPrimitives.ReadUInt32BigEndian(info[at..]);
    }
}
