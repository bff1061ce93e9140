using System.IO.Pipelines;
using System.Net;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;

namespace SimpleChat.Network;

/// <summary>
/// A TCP connection that came in by the <see cref="Door"/>: the transport's own, and who is using it. A user's while at least one request
/// of a user is under way on it, an open WebSocket included (over HTTP/2 there may be many); a stranger's otherwise, whoever it was before.
/// </summary>
internal sealed class TcpConnection : ConnectionContext, IConnectionLifetimeFeature
{
    private readonly ConnectionContext _transport;
    private readonly Door _door;
    private int _requests;

    public TcpConnection(ConnectionContext transport, Door door)
    {
        (_transport, _door) = (transport, door);
        Network = NetworkOf((transport.RemoteEndPoint as IPEndPoint)?.Address);
        transport.Features.Set<IConnectionLifetimeFeature>(this); // by which a request finds it
    }

    /// <summary>Whose a connection is.</summary>
    internal enum Standing : byte
    {
        Stranger,
        User,
        Closed,
    }

    /// <summary>The door's, under its lock.</summary>
    public Standing Whose { get; set; }

    /// <summary>The door's, under its lock: requests of a user that are under way.</summary>
    public int UserRequests { get; set; }

    /// <summary>The door's, under its lock: the neighbours among the strangers.</summary>
    public TcpConnection? Older { get; set; }

    /// <inheritdoc cref="Older"/>
    public TcpConnection? Newer { get; set; }

    /// <summary>When it came, as <see cref="TimeProvider.GetTimestamp"/> counts.</summary>
    public long Since { get; init; }

    /// <summary>
    /// The network it came from, in one byte: an IPv4 address, or the /64 in which an IPv6 address is one subscriber's. Two may share it.
    /// </summary>
    public byte Network { get; }

    /// <summary>Whether a request was ever answered on it.</summary>
    public bool WasAnswered { get; set; }

    /// <summary>Whether a request is under way, anybody's.</summary>
    public bool IsBusy => Volatile.Read(ref _requests) > 0;

    /// <summary>The connection of this request; null if there is none, as in a test in memory.</summary>
    public static TcpConnection? Of(HttpContext context) => context.Features.Get<IConnectionLifetimeFeature>() as TcpConnection;

    /// <summary>
    /// Middleware: says that a request is under way, so that no connection is closed in the middle of one while others are idle.
    /// </summary>
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

    /// <summary>A request of a user is under way; the caller calls <see cref="Leave"/> at its end.</summary>
    /// <returns>false if users have as many connections in use as there may be; then there is nothing to leave.</returns>
    public bool TryUse() => _door.TryUse(this);

    /// <summary>That request is over.</summary>
    public void Leave() => _door.Leave(this);

    public override string ConnectionId { get => _transport.ConnectionId; set => _transport.ConnectionId = value; }

    public override IFeatureCollection Features => _transport.Features;

    public override IDictionary<object, object?> Items { get => _transport.Items; set => _transport.Items = value; }

    public override IDuplexPipe Transport { get => _transport.Transport; set => _transport.Transport = value; }

    public override CancellationToken ConnectionClosed { get => _transport.ConnectionClosed; set => _transport.ConnectionClosed = value; }

    public override EndPoint? LocalEndPoint { get => _transport.LocalEndPoint; set => _transport.LocalEndPoint = value; }

    public override EndPoint? RemoteEndPoint { get => _transport.RemoteEndPoint; set => _transport.RemoteEndPoint = value; }

    /// <summary>Closes the socket, at once.</summary>
    public override void Abort(ConnectionAbortedException abortReason) => _transport.Abort(abortReason);

    /// <summary>Kestrel's last word: what was to be sent is sent, and the socket is closed.</summary>
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
            return 0; // a Unix socket: whoever may open it
        var hash = new HashCode(); // another one in each process: nobody can look for an address that collides with somebody else's
        hash.AddBytes(address.IsIPv4MappedToIPv6 ? bytes[12..] : bytes[..Math.Min(length, 8)]);
        return (byte)hash.ToHashCode();
    }
}
