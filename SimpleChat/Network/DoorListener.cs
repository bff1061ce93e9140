using System.Net;
using Microsoft.AspNetCore.Connections;

namespace SimpleChat.Network;

/// <summary>One address on which the server listens.</summary>
internal sealed class DoorListener(Door door, IConnectionListener sockets) : IConnectionListener
{
    public EndPoint EndPoint => sockets.EndPoint;

    public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
    {
        if (await sockets.AcceptAsync(cancellationToken) is not { } transport)
            return null;
        var (connection, displacing) = door.Admit(transport);
        if (displacing)
            await Task.Yield(); // those that are in already get their turn, however many are coming
        return connection;
    }

    public ValueTask UnbindAsync(CancellationToken cancellationToken = default) => sockets.UnbindAsync(cancellationToken);

    public ValueTask DisposeAsync() => sockets.DisposeAsync();
}
