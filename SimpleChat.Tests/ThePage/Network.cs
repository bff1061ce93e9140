using System.Net;
using System.Net.Sockets;

namespace SimpleChat.Tests.ThePage;

/// <summary>The network between a browser and the server. Without it what is open is cut, and nothing new gets through.</summary>
internal sealed class Network : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly Uri _server;
    private readonly Task _running;
    private readonly CancellationTokenSource _over = new();
    private CancellationTokenSource _cut = new();

    /// <param name="server">Where the server is.</param>
    public Network(Uri server)
    {
        _server = server;
        _listener.Start();
        Url = new Uri($"http://{_listener.LocalEndpoint}/");
        _running = RunAsync();
    }

    /// <summary>Where the server is for the browser.</summary>
    public Uri Url { get; }

    /// <summary>Takes it away.</summary>
    public void Cut() => _cut.Cancel();

    /// <summary>Gives it back.</summary>
    public void Mend() => _cut = new CancellationTokenSource();

    public async ValueTask DisposeAsync()
    {
        await _over.CancelAsync();
        await _running;
        _listener.Dispose();
        _over.Dispose();
    }

    private async Task RunAsync()
    {
        List<Task> connections = [];
        try
        {
            while (true)
                connections.Add(ServeAsync(await _listener.AcceptTcpClientAsync(_over.Token), _cut.Token));
        }
        catch (OperationCanceledException)
        {
            await Task.WhenAll(connections);
        }
    }

    private async Task ServeAsync(TcpClient client, CancellationToken cut)
    {
        using var outside = client;
        using var inside = new TcpClient();
        using var end = CancellationTokenSource.CreateLinkedTokenSource(cut, _over.Token);
        try
        {
            await inside.ConnectAsync(_server.Host, _server.Port, end.Token);
            await Task.WhenAny(
                client.GetStream().CopyToAsync(inside.GetStream(), end.Token),
                inside.GetStream().CopyToAsync(client.GetStream(), end.Token));
        }
        catch (Exception e) when (e is IOException or SocketException or OperationCanceledException)
        {
            // One end is gone, and so is this.
        }
    }
}
