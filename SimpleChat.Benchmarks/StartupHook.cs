using System.Globalization;
using System.Net.Sockets;
using System.Text;

/// <summary>
/// Runs in the chat server's process before its <c>Main</c>, if <c>DOTNET_STARTUP_HOOKS</c> names this assembly: a way to read the
/// runtime's own counters from outside without a line of it in the server. Its name, and that it has no namespace, are .NET's convention.
/// </summary>
internal static class StartupHook
{
    public const string SocketVariable = "SIMPLECHAT_BENCHMARK_COUNTERS";

    public static void Initialize()
    {
        if (Environment.GetEnvironmentVariable(SocketVariable) is not { Length: > 0 } path)
            return;
        var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(path));
        listener.Listen();
        new Thread(() => Serve(listener)) { IsBackground = true, Name = "counters" }.Start();
    }

    /// <summary>From the other side: bytes allocated since the start, and collections of the youngest generation.</summary>
    public static (long Bytes, int Collections) Read(string path)
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { ReceiveTimeout = 5_000 };
        socket.Connect(new UnixDomainSocketEndPoint(path));
        var buffer = new byte[64];
        var answer = Encoding.ASCII.GetString(buffer, 0, socket.Receive(buffer)).Split(' ');
        return (long.Parse(answer[0], CultureInfo.InvariantCulture), int.Parse(answer[1], CultureInfo.InvariantCulture));
    }

    private static void Serve(Socket listener)
    {
        while (true)
        {
            using var caller = listener.Accept();
            caller.Send(Encoding.ASCII.GetBytes($"{GC.GetTotalAllocatedBytes()} {GC.CollectionCount(0)}"));
        }
    }
}
