using System.Net;
using System.Net.Sockets;
using System.Text;

namespace SimpleChat.Tests;

/// <summary>A reverse proxy: strips a path, says so in <c>X-Forwarded-Prefix</c>, passes on the rest. One request a connection.</summary>
internal sealed class StrippingProxy : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _over = new();
    private readonly Uri _server;
    private readonly string _prefix;
    private readonly Task _running;

    /// <param name="server">Where the server is.</param>
    /// <param name="prefix">The path, like <c>/simplechat</c>.</param>
    public StrippingProxy(Uri server, string prefix)
    {
        (_server, _prefix) = (server, prefix);
        _listener.Start();
        Url = new Uri($"http://{_listener.LocalEndpoint}{prefix}/");
        _running = RunAsync();
    }

    public Uri Url { get; }

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
            var (from, head) = (client.GetStream(), new StringBuilder());
            var one = new byte[1];
            while (!head.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal))
            {
                await from.ReadExactlyAsync(one, _over.Token);
                head.Append((char)one[0]);
            }

            var request = head.ToString();
            if (!request.Contains($" {_prefix}/", StringComparison.Ordinal))
                return; // not ours; the browser's favicon, say
            request = request.Replace($" {_prefix}/", " /", StringComparison.Ordinal)
                .Replace("Connection: keep-alive", "Connection: close", StringComparison.Ordinal)
                .Replace("\r\n\r\n", $"\r\nX-Forwarded-Prefix: {_prefix}\r\n\r\n", StringComparison.Ordinal);
            await inside.ConnectAsync(_server.Host, _server.Port, _over.Token);
            var to = inside.GetStream();
            await to.WriteAsync(Encoding.Latin1.GetBytes(request), _over.Token);
            await Task.WhenAny(from.CopyToAsync(to, _over.Token), to.CopyToAsync(from, _over.Token));
        }
        catch (Exception e) when (e is IOException or SocketException or OperationCanceledException)
        {
            // One end is gone, and so is this.
        }
    }
}
