using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace SimpleChat.Network;

/// <summary>What the operating system holds for a peer.</summary>
internal static class SendQueue
{
    private const nuint OutputQueue = 0x5411; // SIOCOUTQ

    /// <summary>
    /// Returns how many bytes the peer has not acknowledged (https://man7.org/linux/man-pages/man7/tcp.7.html). It is always 0 where that
    /// cannot be known.
    /// </summary>
    public static int Length(Socket? socket)
    {
        if (socket is null || !OperatingSystem.IsLinux())
            return 0;
        try
        {
            return Ioctl(socket.SafeHandle, OutputQueue, out var length) == 0 ? length : 0;
        }
        catch (ObjectDisposedException)
        {
            return 0;
        }
    }

    [DllImport("libc", EntryPoint = "ioctl")]
    private static extern int Ioctl(SafeSocketHandle socket, nuint request, out int value);
}
