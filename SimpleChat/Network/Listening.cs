using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using SimpleChat.Settings;

namespace SimpleChat.Network;

/// <summary>Sets up how Kestrel listens, and how much the operating system holds for a peer.</summary>
internal static class Listening
{
    /// <summary>
    /// How many bytes the operating system holds for a peer that reads nothing. Its own buffer grows to megabytes. Then a ping waits behind
    /// them, and a slow reader seems to be gone. And subprotocol <c>chat</c> counts all of it as delivered.
    /// </summary>
    private const int SendBuffer = 128 * 1024;

    /// <summary>Sets up Kestrel.</summary>
    public static void Register(IServiceCollection services)
    {
        services.Configure<SocketTransportOptions>(sockets =>
        {
            // Makes Kestrel keep no bytes back: a finished write means that the operating system has them. 0 would mean no limit.
            sockets.MaxWriteBufferSize = 1;
            sockets.CreateBoundListenSocket = Bind;
        });
        services.AddOptions<KestrelServerOptions>().Configure<ChatOptions>((server, chat) =>
        {
            server.AddServerHeader = false;
            server.Limits.RequestHeadersTimeout = chat.MessageTimeout;
        });
    }

    /// <summary>Binds a socket as Kestrel does. The connections that it accepts inherit its settings.</summary>
    private static Socket Bind(EndPoint endpoint)
    {
        var socket = SocketTransportOptions.CreateDefaultBoundListenSocket(endpoint);
        socket.SendBufferSize = OperatingSystem.IsLinux() ? SendBuffer / 2 : SendBuffer; // Linux doubles it: man7.org, socket(7)
        return socket;
    }
}
