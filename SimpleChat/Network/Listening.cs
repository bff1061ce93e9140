using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using SimpleChat.Settings;

namespace SimpleChat.Network;

/// <summary>How Kestrel listens, and how much is held for a peer below it.</summary>
internal static class Listening
{
    /// <summary>
    /// What the operating system holds for a peer that takes nothing, in bytes. Left alone it grows to megabytes: then a ping waits behind
    /// them, and a slow reader seems to be gone; and <c>chat</c> counts all of it as delivered.
    /// </summary>
    private const int SendBuffer = 128 * 1024;

    /// <summary>Sets up Kestrel.</summary>
    public static void Register(IServiceCollection services)
    {
        services.Configure<SocketTransportOptions>(sockets =>
        {
            // A finished write means that the operating system has the bytes: Kestrel keeps none behind it (0 would be no limit).
            sockets.MaxWriteBufferSize = 1;
            sockets.CreateBoundListenSocket = Bind;
        });
        services.AddOptions<KestrelServerOptions>().Configure<ChatOptions>((server, chat) =>
        {
            server.AddServerHeader = false;
            server.Limits.RequestHeadersTimeout = chat.MessageTimeout;
        });
    }

    /// <summary>Binds a socket as Kestrel does. Connections that come in on it inherit its settings.</summary>
    private static Socket Bind(EndPoint endpoint)
    {
        var socket = SocketTransportOptions.CreateDefaultBoundListenSocket(endpoint);
        socket.SendBufferSize = SendBuffer;
        return socket;
    }
}
