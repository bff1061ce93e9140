using System.Net;
using System.Net.Sockets;

namespace SimpleChat.Tests;

/// <summary>
/// A port of 127.0.0.1, for a program that has to be told where to listen. It is below those that the system gives out by itself
/// (<c>ip_local_port_range</c>): no socket that asks for any port takes it, neither before the program listens nor while it is restarted.
/// </summary>
internal static class LoopbackPort
{
    private const int First = 10_000, Count = 20_000;

    private static int s_next = Random.Shared.Next(Count); // another process begins elsewhere

    /// <summary>Finds one that nobody listens on, and gives it out once.</summary>
    /// <param name="inARow">How many in a row nobody listens on; the first is returned.</param>
    public static int Free(int inARow = 1) => Enumerable.Range(0, Count)
        .Select(_ => First + ((Interlocked.Add(ref s_next, inARow) - inARow) % (Count - inARow)))
        .First(port => AreFree(port, inARow));

    /// <summary>The same, as an address for <c>urls</c>.</summary>
    public static string FreeUrl() => $"http://127.0.0.1:{Free()}";

    /// <summary>Whether nobody listens on any of these.</summary>
    public static bool AreFree(int first, int count)
    {
        try
        {
            for (var port = first; port < first + count; port++)
            {
                using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
                socket.Bind(new IPEndPoint(IPAddress.Loopback, port));
            }

            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
