using System.Net;
using System.Net.Sockets;

namespace SimpleChat.Tests;

/// <summary>Stands between whoever connects and the server, and carries each connection in its own way.</summary>
internal abstract class Relay : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly Uri _server;
    private readonly CancellationTokenSource _over = new();
    private readonly Task _running;

    /// <param name="server">Where the server is.</param>
    /// <param name="path">The path under which it is found here; it ends with a slash.</param>
    protected Relay(Uri server, string path)
    {
        _server = server;
        _listener.Start();
        Url = new Uri($"http://{_listener.LocalEndpoint}{path}");
        _running = RunAsync();
    }

    /// <summary>Where the server is for whoever connects.</summary>
    public Uri Url { get; }

    public async ValueTask DisposeAsync()
    {
        await _over.CancelAsync();
        await _running;
        _listener.Dispose();
        _over.Dispose();
    }

    /// <summary>Carries one connection until one end is gone.</summary>
    /// <param name="outside">Who connected.</param>
    /// <param name="connect">Connects to the server.</param>
    /// <param name="over">The relay ends.</param>
    protected abstract Task CarryAsync(
        NetworkStream outside, Func<CancellationToken, Task<NetworkStream>> connect, CancellationToken over);

    /// <summary>Carries both ways, until one of them ends.</summary>
    protected static Task CarryAsync(NetworkStream outside, NetworkStream inside, CancellationToken end) =>
        Task.WhenAny(outside.CopyToAsync(inside, end), inside.CopyToAsync(outside, end));

    private async Task RunAsync()
    {
        List<Task> connections = [];
        try
        {
            while (true)
                connections.Add(ServeAsync(await _listener.AcceptTcpClientAsync(_over.Token)));
        }
        catch (OperationCanceledException)
        {
            await Task.WhenAll(connections);
        }
    }

    private async Task ServeAsync(TcpClient client)
    {
        using var outside = client;
        using var inside = new TcpClient();
        try
        {
            await CarryAsync(outside.GetStream(), ConnectAsync, _over.Token);
        }
        catch (Exception e) when (e is IOException or SocketException or OperationCanceledException)
        {
            // One end is gone, and so is this.
        }

        async Task<NetworkStream> ConnectAsync(CancellationToken end)
        {
            await inside.ConnectAsync(_server.Host, _server.Port, end);
            return inside.GetStream();
        }
    }
}
