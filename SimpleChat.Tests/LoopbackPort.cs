using System.Net;
using System.Net.Sockets;

namespace SimpleChat.Tests;

/// <summary>A port of 127.0.0.1, for a program that has to be told where to listen.</summary>
internal static class LoopbackPort
{
    /// <summary>Finds one that nobody listens on. Somebody may take it before the program does.</summary>
    public static int Free()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
