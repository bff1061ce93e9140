using System.Net.Sockets;

namespace SimpleChat.Tests.ThePage;

/// <summary>The network between a browser and the server. Without it what is open is cut, and nothing new gets through.</summary>
/// <param name="server">Where the server is.</param>
internal sealed class Network(Uri server) : Relay(server, "/")
{
    private CancellationTokenSource _cut = new();

    /// <summary>Takes it away.</summary>
    public void Cut() => _cut.Cancel();

    /// <summary>Gives it back.</summary>
    public void Mend() => _cut = new CancellationTokenSource();

    protected override async Task CarryAsync(
        NetworkStream outside, Func<CancellationToken, Task<NetworkStream>> connect, CancellationToken over)
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(_cut.Token, over);
        await CarryAsync(outside, await connect(end.Token), end.Token);
    }
}
