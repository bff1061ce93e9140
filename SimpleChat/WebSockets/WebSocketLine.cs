using System.Net.Sockets;
using System.Net.WebSockets;
using SimpleChat.Monitoring;
using SimpleChat.Network;
using SimpleChat.Settings;
using SimpleChat.Wire;

namespace SimpleChat.WebSockets;

/// <summary>
/// Carries one <see cref="Connection"/> over one WebSocket, from the handshake to the close frame. <see cref="Receiving"/> is the only one
/// that receives, <see cref="Sending"/> the only one that sends, this the only one that closes. They meet in the connection and in its
/// <see cref="Answers"/>.
/// </summary>
internal sealed partial class WebSocketLine : IDisposable
{
    /// <summary>How long the peer may take to answer a close frame; then the line is cut.</summary>
    private static readonly TimeSpan CloseTimeout = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Aborting the socket sends a reset, which overtakes what the peer has not taken. So it stays open for this long after the close
    /// frame. If the peer has not taken all by then, it stays open longer, up to <see cref="CloseTimeout"/>.
    /// </summary>
    private static readonly TimeSpan Linger = TimeSpan.FromMilliseconds(100);

    private readonly Socket? _network;
    private readonly Receiving _receiving;
    private readonly Sending _sending;
    private readonly ITimer? _expiry;

    public WebSocketLine(
        WebSocket socket, OutgoingBatch? batch, Socket? network, Connection connection, bool writingDelivers, DateTimeOffset? expiresAt,
        WebSocketServices services)
    {
        Socket = socket;
        _network = network;
        Connection = connection;
        Services = services;
        Answers = new Answers(connection);
        _receiving = new Receiving(this);
        _sending = new Sending(this, batch, network, writingDelivers);
        if (batch is not null)
        {
            batch.Share = connection.Share;
            batch.WaitsForNetwork = writingDelivers;
        }

        if (expiresAt is { } end)
        {
            _expiry = services.Time.CreateTimer(_ => CheckExpiry(end), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
            CheckExpiry(end);
        }
    }

    public WebSocket Socket { get; }

    public Connection Connection { get; }

    public Answers Answers { get; }

    public WebSocketServices Services { get; }

    /// <summary>Runs until the line is closed, whoever closes it. Throws nothing that the peer can cause.</summary>
    public async Task RunAsync()
    {
        Log.Opened(Services.Log, Connection.User, Socket.SubProtocol ?? "none");
        var receiving = _receiving.RunAsync();
        Exception? failure = null;
        try
        {
            await _sending.RunAsync();
        }
        catch (Exception e)
        {
            failure = e;
        }

        Answers.End();
        if (failure is not null)
            await FailAsync(failure, receiving);
        Services.Chat.Leave(Connection); // before the peer can know that it is closed
        await CloseAsync(Connection.Ending!, receiving);
        Socket.Abort(); // does nothing to a socket that is closed
        await receiving;
        if (Connection.Ending!.IsRefusal)
            Services.Refusals.Refused(Connection.Ending.Name, Connection.User);
        Log.Ended(Services.Log, Connection.User, Connection.Ending.Name);
    }

    /// <summary>
    /// Writing failed. Where that only says that the line is dead, the receiver says why first. It may just have found a broken frame, for
    /// which the framework sends a close frame and then lets nobody else write.
    /// </summary>
    private async Task FailAsync(Exception e, Task receiving)
    {
        if (IsPeerGone(e))
        {
            if (Socket.State == WebSocketState.Open)
                Socket.Abort(); // no close frame is on its way: the receiver need not wait for the peer
            await receiving.WaitAsync(CloseTimeout, Services.Time).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        Fail(e);
    }

    /// <summary>Reading or writing failed. The connection ends, and the end has a name.</summary>
    public void Fail(Exception e)
    {
        if (IsProtocolError(e))
        {
            Connection.End(ConnectionEnd.ProtocolError);
        }
        else if (IsPeerGone(e))
        {
            Connection.End(ConnectionEnd.PeerGone);
        }
        else
        {
            Log.Fault(Services.Log, e, Connection.User);
            Connection.End(ConnectionEnd.ServerFault);
        }
    }

    public void Dispose()
    {
        _expiry?.Dispose();
        _receiving.Dispose();
    }

    private async Task CloseAsync(ConnectionEnd end, Task receiving)
    {
        try
        {
            if (end.Status is { } status)
            {
                var reason = status == WebSocketCloseStatus.Empty ? null : end.Reason;
                await Socket.CloseOutputAsync(status, reason, CancellationToken.None).WaitAsync(CloseTimeout, Services.Time);
            }

            if (end == ConnectionEnd.ProtocolError || end == ConnectionEnd.ServerFault)
                await LingerAsync(); // nobody reads any more
            else if (end.Status is not null)
                await receiving.WaitAsync(CloseTimeout, Services.Time); // the peer's close frame
        }
        catch (Exception e) when (IsPeerGone(e) || e is TimeoutException or ArgumentException)
        {
            // The peer was told, or cannot be told.
        }
    }

    private async Task LingerAsync()
    {
        var began = Services.Time.GetTimestamp();
        do
            await Task.Delay(Linger, Services.Time);
        while (SendQueue.Length(_network) > 0 && Services.Time.GetElapsedTime(began) < CloseTimeout);
    }

    /// <summary>
    /// The framework found a breach of RFC 6455 and has answered it with a close frame already: the receiver hears of it, or the sender
    /// finds a close frame sent that is not ours.
    /// </summary>
    private bool IsProtocolError(Exception e) => IsPeerGone(e) && Socket.CloseStatus is null
        && (Socket.State == WebSocketState.CloseSent || e is WebSocketException { WebSocketErrorCode: WebSocketError.Faulted });

    private static bool IsPeerGone(Exception e) =>
        e is WebSocketException or IOException or OperationCanceledException or ObjectDisposedException;

    /// <summary>Looks at the clock as often as a silent line is pinged. A clock may be set, and a timer would not notice.</summary>
    private void CheckExpiry(DateTimeOffset expiresAt)
    {
        var left = expiresAt - Services.Time.GetUtcNow();
        var look = Services.Options.KeepAliveInterval;
        if (left <= TimeSpan.Zero)
            Connection.End(ConnectionEnd.IdentityExpired);
        else
            _expiry!.Change(left < look ? left : look, Timeout.InfiniteTimeSpan);
    }

    private static partial class Log
    {
        [LoggerMessage(10, LogLevel.Debug, "{User} connected, subprotocol {Protocol}.")]
        public static partial void Opened(ILogger log, string user, string protocol);

        [LoggerMessage(11, LogLevel.Debug, "{User} disconnected: {End}.")]
        public static partial void Ended(ILogger log, string user, string end);

        [LoggerMessage(12, LogLevel.Error, "The connection of {User} failed.")]
        public static partial void Fault(ILogger log, Exception e, string user);
    }
}

/// <summary>What every WebSocket of the server needs.</summary>
internal sealed record WebSocketServices(
    Chat Chat, ChatOptions Options, TimeProvider Time, Metrics Metrics, RefusalLog Refusals, ILogger<WebSocketLine> Log);
