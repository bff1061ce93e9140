using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace SimpleChat.AppHost;

/// <summary>Where everything listens, on this machine alone: the balancer on the port that was asked for, the others on the next.</summary>
/// <param name="Balancer">HAProxy's, for clients.</param>
internal sealed record Ports(int Balancer)
{
    private const int Default = 5080;

    public int Node1 => Balancer + 1;

    public int Node2 => Balancer + 2;

    /// <summary>HAProxy's too, for whole TCP connections.</summary>
    public int Layer4 => Balancer + 3;

    public int Dashboard => Balancer + 4;

    public int Postgres => Balancer + 5;

    public int Redis => Balancer + 6;

    /// <summary>Where the dashboard takes OTLP from the nodes.</summary>
    public int Telemetry => Balancer + 7;

    /// <summary>Where the dashboard asks what there is.</summary>
    public int Resources => Balancer + 8;

    /// <summary>An address of this machine.</summary>
    public static string At(int port) => string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{port}");

    /// <summary>Reads <c>--port 7080</c>, the only argument that there is.</summary>
    /// <exception cref="StartException">The arguments are others.</exception>
    public static Ports From(string[] args) => args switch
    {
        [] => new Ports(Default),
        ["--port", var port] when int.TryParse(port, CultureInfo.InvariantCulture, out var first) && first is > 0 and < 65_000 =>
            new Ports(first),
        _ => throw new StartException($"The only argument is --port {Default}: where the balancer listens. The others follow it."),
    };

    /// <exception cref="StartException">One of them is in use.</exception>
    public void RequireFree()
    {
        for (var port = Balancer; port <= Resources; port++)
        {
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                socket.Bind(new IPEndPoint(IPAddress.Loopback, port));
            }
            catch (SocketException)
            {
                throw new StartException($"Port {port} is in use. " +
                    "Stop what listens there, or choose others: dotnet run --project SimpleChat.AppHost -- --port 7080");
            }
        }
    }
}
