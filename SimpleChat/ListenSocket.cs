using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;

namespace SimpleChat;

/// <summary>The socket that connections come in on; they inherit its settings.</summary>
internal static class ListenSocket
{
    /// <summary>
    /// What the operating system holds for a peer that takes nothing, in bytes. Left alone it grows to megabytes: then a ping waits behind them, and a slow
    /// reader seems to be gone; and <c>chat</c> counts all of it as delivered.
    /// </summary>
    private const int SendBuffer = 128 * 1024;

    /// <summary>Binds it as Kestrel does.</summary>
    public static Socket Create(EndPoint endpoint)
    {
        var socket = SocketTransportOptions.CreateDefaultBoundListenSocket(endpoint);
        socket.SendBufferSize = SendBuffer;
        return socket;
    }
}
