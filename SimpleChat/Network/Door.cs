using System.Net;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using SimpleChat.Monitoring;
using SimpleChat.Settings;

namespace SimpleChat.Network;

/// <summary>
/// Accepts TCP connections, below TLS and HTTP. It uses Kestrel's socket transport, and limits how many connections strangers hold. A
/// connection is a user's while a user's request is under way on it. Otherwise it is a stranger's. Strangers share a small fixed part of
/// the process's descriptors (<see cref="Capacity.Strangers"/>). When that is full, a newcomer takes the place of an idle stranger. So no
/// crowd of silent connections locks users out or uses up the descriptors.
/// </summary>
internal sealed class Door : IConnectionListenerFactory, IConnectionListenerFactorySelector, IDisposable
{
    /// <summary>How long a newcomer may take to send its first request, TLS included. After that, Kestrel's own time-outs apply.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private static readonly ConnectionAbortedException Displaced = new(
        "Strangers have as many connections open as they may have, and this one did nothing.");
    private static readonly ConnectionAbortedException Silent = new("No request came in time.");

    private readonly SocketTransportFactory _sockets;
    private readonly Capacity _capacity;
    private readonly RefusalLog _refusals;
    private readonly TimeProvider _time;
    private readonly ITimer _round;
    private readonly Lock _gate = new();

    private readonly LinkedList<TcpConnection> _strangers = []; // by when they were last active, under _gate
    private int _users; // under _gate

    public Door(IServiceProvider services, Capacity capacity, RefusalLog refusals, TimeProvider time)
    {
        _capacity = capacity;
        _refusals = refusals;
        _time = time;
        _sockets = ActivatorUtilities.CreateInstance<SocketTransportFactory>(services);
        _round = time.CreateTimer(_ => CloseSilent(), null, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1));
    }

    /// <summary>Registers the door in place of Kestrel's own transport.</summary>
    public static void Register(IServiceCollection services)
    {
        services.AddSingleton(provider => Capacity.Of(provider.GetRequiredService<ChatOptions>()));
        services.AddSingleton<IConnectionListenerFactory, Door>(); // Kestrel uses the last one that can bind an address
    }

    public bool CanBind(EndPoint endpoint) => _sockets.CanBind(endpoint);

    public async ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default) =>
        new DoorListener(this, await _sockets.BindAsync(endpoint, cancellationToken));

    public void Dispose() => _round.Dispose();

    /// <summary>Makes the connection a user's, if there is room. See <see cref="TcpConnection.TryUse"/>.</summary>
    public bool TryUse(TcpConnection connection)
    {
        lock (_gate)
        {
            if (connection.Whose == TcpConnection.Standing.Stranger)
            {
                if (_users >= _capacity.Users)
                    return false;
                _strangers.Remove(connection.Place);
                connection.Whose = TcpConnection.Standing.User;
                _users++;
            }

            connection.UserRequests++;
            return true;
        }
    }

    /// <summary>Called when a user's request is over. See <see cref="TcpConnection.Leave"/>.</summary>
    public void Leave(TcpConnection connection)
    {
        lock (_gate)
        {
            if (--connection.UserRequests > 0 || connection.Whose != TcpConnection.Standing.User)
                return;
            _users--;
            connection.WasAnswered = true; // also after a WebSocket, whose last frame may still be going out
            connection.Whose = TcpConnection.Standing.Stranger;
            _strangers.AddLast(connection.Place);
        }
    }

    /// <summary>Called when a request was answered. A stranger's connection becomes the last that was active.</summary>
    public void Answered(TcpConnection connection)
    {
        lock (_gate)
        {
            if (connection.Whose != TcpConnection.Standing.Stranger)
                return;
            _strangers.Remove(connection.Place);
            _strangers.AddLast(connection.Place);
        }
    }

    /// <summary>Called when the connection's socket is closed. May be called twice.</summary>
    public void Closed(TcpConnection connection)
    {
        lock (_gate)
        {
            if (connection.Whose == TcpConnection.Standing.Stranger)
                _strangers.Remove(connection.Place);
            else if (connection.Whose == TcpConnection.Standing.User)
                _users--;
            connection.Whose = TcpConnection.Standing.Closed;
        }
    }

    /// <summary>Lets a newcomer in, and closes the connections that it displaces.</summary>
    public TcpConnection Admit(ConnectionContext transport)
    {
        var connection = new TcpConnection(transport, this) { Since = _time.GetTimestamp() };
        List<TcpConnection>? displaced = null;
        lock (_gate)
        {
            _strangers.AddLast(connection.Place);
            // One is displaced for each newcomer. Users' connections that became idle may exceed the share, if there is room.
            while (_strangers.Count > _capacity.Strangers && (displaced is null || IsFull))
            {
                var one = Idlest(newcomer: connection);
                _strangers.Remove(one.Place);
                one.Whose = TcpConnection.Standing.Closed;
                (displaced ??= []).Add(one);
            }
        }

        foreach (var one in displaced ?? [])
            Close(one, Displaced, "connection_displaced");
        return connection;
    }

    /// <summary>Whether strangers and users together exceed their shares. The caller holds the gate.</summary>
    private bool IsFull => (long)_strangers.Count + _users > (long)_capacity.Strangers + _capacity.Users;

    /// <summary>
    /// Chooses the stranger that makes room for a newcomer. It takes one without a request, unless all have one. It takes it from the
    /// network with the most connections, so that a crowd displaces its own. Of these it takes the one that has been idle for longest. The
    /// caller holds the gate.
    /// </summary>
    private TcpConnection Idlest(TcpConnection newcomer)
    {
        return Of(isBusy: false) ?? Of(isBusy: true) ?? newcomer;

        TcpConnection? Of(bool isBusy)
        {
            Span<int> crowds = stackalloc int[byte.MaxValue + 1];
            crowds.Clear();
            var largest = 0;
            foreach (var one in _strangers)
            {
                if (one != newcomer && one.IsBusy == isBusy)
                    largest = Math.Max(largest, ++crowds[one.Network]);
            }

            foreach (var one in _strangers)
            {
                if (one != newcomer && one.IsBusy == isBusy && crowds[one.Network] == largest)
                    return one;
            }

            return null;
        }
    }

    /// <summary>Closes newcomers that have sent no request in time.</summary>
    private void CloseSilent()
    {
        List<TcpConnection>? silent = null;
        lock (_gate)
        {
            foreach (var one in _strangers)
            {
                if (!one.WasAnswered && !one.IsBusy && _time.GetElapsedTime(one.Since) > Patience)
                    (silent ??= []).Add(one);
            }
        }

        foreach (var one in silent ?? [])
            Close(one, Silent, "no_request");
    }

    private void Close(TcpConnection connection, ConnectionAbortedException why, string reason)
    {
        connection.Abort(why); // closes the descriptor before it returns
        _refusals.Refused(reason, (connection.RemoteEndPoint as IPEndPoint)?.Address.ToString() ?? "somebody");
    }
}
