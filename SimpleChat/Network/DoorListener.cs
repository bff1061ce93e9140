using System.Net;
using Microsoft.AspNetCore.Connections;

namespace SimpleChat.Network;

/// <summary>Listens on one address, and takes its connections through the <see cref="Door"/>.</summary>
internal sealed class DoorListener(Door door, IConnectionListener sockets) : IConnectionListener
{
    public EndPoint EndPoint => sockets.EndPoint;

    public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
    {
        if (await sockets.AcceptAsync(cancellationToken) is not { } transport)
            return null;
        await Task.Yield(); // connections that are open already get their turn, however many more come
        return door.Admit(transport);
    }

    public ValueTask UnbindAsync(CancellationToken cancellationToken = default) => sockets.UnbindAsync(cancellationToken);

    public ValueTask DisposeAsync() => sockets.DisposeAsync();
}
