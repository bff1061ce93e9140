using System.Net;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using SimpleChat.Monitoring;
using SimpleChat.Settings;

namespace SimpleChat.Network;

/// <summary>
/// Where TCP connections come in, below TLS and HTTP: Kestrel's socket transport, and a bound on what strangers hold. A connection is a
/// stranger's until a user's request is under way on it, and again afterwards. Strangers have a small fixed share of the process's
/// descriptors (<see cref="Capacity.Strangers"/>). Once it is full, a newcomer takes the place of one that does nothing: so a silent crowd
/// locks nobody out, however large it is, and never uses up the descriptors.
/// </summary>
internal sealed class Door : IConnectionListenerFactory, IConnectionListenerFactorySelector, IDisposable
{
    /// <summary>
    /// How long a newcomer may take to come out with its first request, TLS included. Kestrel's own time-outs see to what comes after it.
    /// </summary>
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

    private readonly Strangers _strangers = new(); // under _gate
    private int _users; // under _gate

    public Door(IServiceProvider services, Capacity capacity, RefusalLog refusals, TimeProvider time)
    {
        (_capacity, _refusals, _time) = (capacity, refusals, time);
        _sockets = ActivatorUtilities.CreateInstance<SocketTransportFactory>(services);
        _round = time.CreateTimer(_ => CloseSilent(), null, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1));
    }

    /// <summary>Puts it in the place of Kestrel's own transport.</summary>
    public static void Register(IServiceCollection services)
    {
        services.AddSingleton(provider => Capacity.Of(provider.GetRequiredService<ChatOptions>()));
        services.AddSingleton<IConnectionListenerFactory, Door>(); // the last one that can bind an address does
    }

    public bool CanBind(EndPoint endpoint) => _sockets.CanBind(endpoint);

    public async ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default) =>
        new DoorListener(this, await _sockets.BindAsync(endpoint, cancellationToken));

    public void Dispose() => _round.Dispose();

    /// <summary>The connection is a user's from now on, if there is room: <see cref="TcpConnection.TryUse"/>.</summary>
    public bool TryUse(TcpConnection connection)
    {
        lock (_gate)
        {
            if (connection.Whose == TcpConnection.Standing.Stranger)
            {
                if (_users >= _capacity.Users)
                    return false;
                _strangers.Remove(connection);
                connection.Whose = TcpConnection.Standing.User;
                _users++;
            }

            connection.UserRequests++;
            return true;
        }
    }

    /// <summary>A user's request is over: <see cref="TcpConnection.Leave"/>.</summary>
    public void Leave(TcpConnection connection)
    {
        lock (_gate)
        {
            if (--connection.UserRequests > 0 || connection.Whose != TcpConnection.Standing.User)
                return;
            _users--;
            connection.WasAnswered = true; // by a WebSocket too, which may be sending its last frame now
            _strangers.Append(connection);
        }
    }

    /// <summary>A request was answered: a stranger's connection is the latest again that did something.</summary>
    public void Answered(TcpConnection connection)
    {
        lock (_gate)
        {
            if (connection.Whose != TcpConnection.Standing.Stranger || connection == _strangers.Newest)
                return;
            _strangers.Remove(connection);
            _strangers.Append(connection);
        }
    }

    /// <summary>The connection's socket is closed. May be called twice.</summary>
    public void Closed(TcpConnection connection)
    {
        lock (_gate)
        {
            if (connection.Whose == TcpConnection.Standing.Stranger)
                _strangers.Remove(connection);
            else if (connection.Whose == TcpConnection.Standing.User)
                _users--;
            connection.Whose = TcpConnection.Standing.Closed;
        }
    }

    /// <summary>Lets a newcomer in, and closes whom it displaces.</summary>
    /// <returns>The connection, and whether it displaced another.</returns>
    public (TcpConnection Connection, bool Displacing) Admit(ConnectionContext transport)
    {
        var connection = new TcpConnection(transport, this) { Since = _time.GetTimestamp() };
        List<TcpConnection>? displaced = null;
        lock (_gate)
        {
            _strangers.Append(connection);
            // One for one. Connections of users that fell idle may be more than the share, as long as all together are not too many.
            while (_strangers.Count > _capacity.Strangers && (displaced is null || IsFull))
            {
                var one = _strangers.Idlest(connection);
                _strangers.Remove(one);
                one.Whose = TcpConnection.Standing.Closed;
                (displaced ??= []).Add(one);
            }
        }

        foreach (var one in displaced ?? [])
            Close(one, Displaced, "connection_displaced");
        return (connection, displaced is not null);
    }

    /// <summary>Under the gate: whether strangers and users together have more than there is.</summary>
    private bool IsFull => (long)_strangers.Count + _users > (long)_capacity.Strangers + _capacity.Users;

    /// <summary>Closes newcomers that asked for nothing for too long.</summary>
    private void CloseSilent()
    {
        List<TcpConnection>? silent = null;
        lock (_gate)
        {
            for (var one = _strangers.Oldest; one is not null; one = one.Newer)
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
