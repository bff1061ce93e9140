using System.IO.Pipelines;
using System.Net;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;

namespace SimpleChat.Network;

/// <summary>
/// A TCP connection that came in by the <see cref="Door"/>. It wraps the transport's connection, and knows whose it is. It is a user's
/// while a user's request is under way on it; an open WebSocket counts as one. Over HTTP/2 there may be many. Otherwise it is a stranger's,
/// whoever used it before.
/// </summary>
internal sealed class TcpConnection : ConnectionContext, IConnectionLifetimeFeature
{
    private readonly ConnectionContext _transport;
    private readonly Door _door;
    private int _requests;

    public TcpConnection(ConnectionContext transport, Door door)
    {
        (_transport, _door) = (transport, door);
        Place = new LinkedListNode<TcpConnection>(this);
        Network = NetworkOf((transport.RemoteEndPoint as IPEndPoint)?.Address);
        transport.Features.Set<IConnectionLifetimeFeature>(this); // so that a request finds this
    }

    /// <summary>Says whose a connection is.</summary>
    internal enum Standing : byte
    {
        Stranger,
        User,
        Closed,
    }

    /// <summary>Says whose the connection is. The door sets it, under its lock.</summary>
    public Standing Whose { get; set; }

    /// <summary>Users' requests under way on the connection. The door counts them, under its lock.</summary>
    public int UserRequests { get; set; }

    /// <summary>Its place among the door's strangers. Guarded by the door's lock.</summary>
    public LinkedListNode<TcpConnection> Place { get; }

    /// <summary>When it was accepted: a <see cref="TimeProvider.GetTimestamp"/>.</summary>
    public long Since { get; init; }

    /// <summary>
    /// A hash of the network that it came from, in one byte. The network is an IPv4 address, or the /64 of an IPv6 address, which is one
    /// subscriber's. Two networks may have the same hash.
    /// </summary>
    public byte Network { get; }

    /// <summary>Whether a request on it was ever answered.</summary>
    public bool WasAnswered { get; set; }

    /// <summary>Whether anybody's request is under way on it.</summary>
    public bool IsBusy => Volatile.Read(ref _requests) > 0;

    /// <summary>Finds the connection of a request; null if there is none, as in a test in memory.</summary>
    public static TcpConnection? Of(HttpContext context) => context.Features.Get<IConnectionLifetimeFeature>() as TcpConnection;

    /// <summary>Middleware: marks the connection as busy during a request. So the door closes idle connections before busy ones.</summary>
    public static async Task Watch(HttpContext context, RequestDelegate next)
    {
        if (Of(context) is not { } connection)
        {
            await next(context);
            return;
        }

        Interlocked.Increment(ref connection._requests);
        try
        {
            await next(context);
        }
        finally
        {
            Interlocked.Decrement(ref connection._requests);
            connection.WasAnswered = true;
            connection._door.Answered(connection);
        }
    }

    /// <summary>Called when a user's request begins. The caller calls <see cref="Leave"/> at its end.</summary>
    /// <returns>False if users have as many connections as they may have. Then the caller must not call <see cref="Leave"/>.</returns>
    public bool TryUse() => _door.TryUse(this);

    /// <summary>Called when that request is over.</summary>
    public void Leave() => _door.Leave(this);

    public override string ConnectionId { get => _transport.ConnectionId; set => _transport.ConnectionId = value; }

    public override IFeatureCollection Features => _transport.Features;

    public override IDictionary<object, object?> Items { get => _transport.Items; set => _transport.Items = value; }

    public override IDuplexPipe Transport { get => _transport.Transport; set => _transport.Transport = value; }

    public override CancellationToken ConnectionClosed { get => _transport.ConnectionClosed; set => _transport.ConnectionClosed = value; }

    public override EndPoint? LocalEndPoint { get => _transport.LocalEndPoint; set => _transport.LocalEndPoint = value; }

    public override EndPoint? RemoteEndPoint { get => _transport.RemoteEndPoint; set => _transport.RemoteEndPoint = value; }

    /// <summary>Closes the socket at once.</summary>
    public override void Abort(ConnectionAbortedException abortReason) => _transport.Abort(abortReason);

    /// <summary>Called by Kestrel at the end. Everything was sent, and the socket is closed.</summary>
    public override async ValueTask DisposeAsync()
    {
        try
        {
            await _transport.DisposeAsync();
        }
        finally
        {
            _door.Closed(this);
            await base.DisposeAsync(); // does nothing
        }
    }

    private static byte NetworkOf(IPAddress? address)
    {
        Span<byte> bytes = stackalloc byte[16];
        if (address is null || !address.TryWriteBytes(bytes, out var length))
            return 0; // a Unix socket has no address
        var hash = new HashCode(); // another one in each process: nobody can look for an address that collides with somebody else's
        hash.AddBytes(address.IsIPv4MappedToIPv6 ? bytes[12..] : bytes[..Math.Min(length, 8)]);
        return (byte)hash.ToHashCode();
    }
}
