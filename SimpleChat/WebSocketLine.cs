using System.Buffers;
using System.Net.Sockets;
using System.Net.WebSockets;

namespace SimpleChat;

/// <summary>
/// Carries one <see cref="Connection"/> over one WebSocket. Two loops: <see cref="ReadAsync"/> is the only one that receives,
/// <see cref="WriteAsync"/> the only one that sends and closes. They meet in the connection alone.
/// </summary>
internal sealed partial class WebSocketLine : IDisposable
{
    /// <summary>How long the peer may take to answer a close frame; then the line is cut.</summary>
    private static readonly TimeSpan CloseTimeout = TimeSpan.FromSeconds(1);

    /// <summary>When nothing is read any more, the close frame gets a head start on the reset that closing a socket with unread data sends.</summary>
    private static readonly TimeSpan Linger = TimeSpan.FromMilliseconds(100);

    /// <summary>The first buffer for a message; it grows with the message, never with what a frame claims to be.</summary>
    private const int FirstBuffer = 4096;

    private readonly WebSocket _socket;
    private readonly OutgoingBatch? _batch;
    private readonly Connection _connection;
    private readonly ChatService _chat;
    private readonly ChatOptions _options;
    private readonly TimeProvider _time;
    private readonly ChatMetrics _metrics;
    private readonly RefusalLog _refusals;
    private readonly ILogger _log;
    private readonly Socket? _network;
    private readonly PassedMessages? _passed;
    private readonly ITimer? _expiry;
    private ITimer? _slow;
    private StallWatch? _stall;
    private string _lastTo = "";
    private byte[]? _message; // rented while a message is read; the read loop's own

    /// <param name="socket">The line itself, just opened.</param>
    /// <param name="batch">Between it and the network; null if there is no network.</param>
    /// <param name="network">The operating system's socket; null if there is none, or others speak over it too.</param>
    /// <param name="connection">What it carries, just joined.</param>
    /// <param name="writingDelivers">Whether a message counts as delivered when it was written, or only when it is acknowledged.</param>
    /// <param name="expiresAt">When the user's identity expires, if it does.</param>
    /// <param name="chat">The rules.</param>
    /// <param name="options">The limits.</param>
    /// <param name="time">The clock.</param>
    /// <param name="metrics">Counts what is pushed.</param>
    /// <param name="refusals">Hears of frames that are answered with an error.</param>
    /// <param name="log">Hears of endings, and of faults.</param>
    public WebSocketLine(
        WebSocket socket, OutgoingBatch? batch, Socket? network, Connection connection, bool writingDelivers, DateTimeOffset? expiresAt,
        ChatService chat, ChatOptions options, TimeProvider time, ChatMetrics metrics, RefusalLog refusals, ILogger<WebSocketLine> log)
    {
        _socket = socket;
        _batch = batch;
        _network = network;
        _connection = connection;
        _chat = chat;
        _options = options;
        _time = time;
        _metrics = metrics;
        _refusals = refusals;
        _log = log;
        if (batch is not null)
            (batch.Share, batch.WaitsForNetwork) = (connection.Share, writingDelivers);
        if (writingDelivers)
            _passed = new PassedMessages(chat, connection, time);
        if (expiresAt is { } end)
        {
            _expiry = time.CreateTimer(_ => CheckExpiry(end), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
            CheckExpiry(end);
        }
    }

    /// <summary>Runs until the line is closed, whoever closes it. Throws nothing that the peer can cause.</summary>
    public async Task RunAsync()
    {
        Log.Opened(_log, _connection.User, _socket.SubProtocol ?? "none");
        var reading = ReadAsync();
        try
        {
            await WriteAsync();
        }
        catch (Exception e) when (IsPeerGone(e))
        {
            // A close frame that is not ours: the framework sent it, because the peer broke the protocol.
            _connection.End(_socket.State == WebSocketState.CloseSent ? ConnectionEnd.ProtocolError : ConnectionEnd.PeerGone);
        }
        catch (Exception e)
        {
            Log.Fault(_log, e, _connection.User);
            _connection.End(ConnectionEnd.ServerFault);
        }

        _chat.Leave(_connection); // before the peer can know that it is closed
        await CloseAsync(_connection.Ending!, reading);
        _socket.Abort(); // does nothing to a socket that is closed
        await reading;
        Log.Ended(_log, _connection.User, _connection.Ending!.Name);
    }

    public void Dispose()
    {
        _expiry?.Dispose();
        _stall?.Dispose();
        _slow?.Dispose();
    }

    // ── Writing ───────────────────────────────────────────────────────────────────────────────────────────────────────

    /// <summary>Writes answers, receipts and messages, until the connection ends and every frame that was read is answered.</summary>
    private async Task WriteAsync()
    {
        await GreetAsync();
        using var drain = _chat.DrainOf(_connection);
        while (true)
        {
            var end = _connection.Ending; // asked before: what waited at the end still goes out
            await SendAsync(drain.Next());
            if (end is not null && (end.Status is null || _connection.IsDrained))
                return;
            if (!drain.HasMore)
                await _connection.WaitAsync();
        }
    }

    private async ValueTask GreetAsync()
    {
        var frames = FrameWriter.Pool.Get();
        await SendAsync(frames.Connected(_connection.User, _options.MaxMessageBytes), left: 0);
        FrameWriter.Pool.Return(frames);
    }

    /// <summary>Sends what there is, in one piece. What this needs, an idle connection does not hold.</summary>
    private async ValueTask SendAsync(Outbox outbox)
    {
        var left = outbox.Answers.Count + outbox.Receipts.Count + outbox.Messages.Count;
        if (left == 0)
            return;
        var frames = FrameWriter.Pool.Get();
        foreach (var answer in outbox.Answers)
        {
            if (answer.Error is { } error)
                _refusals.Refused(error.Reason, _connection.User);
            await SendAsync(frames.Answer(answer), --left);
        }

        foreach (var receipt in outbox.Receipts)
            await SendAsync(frames.Delivered(receipt), --left);
        foreach (var message in outbox.Messages)
            await SendAsync(frames.Message(message), --left);
        FrameWriter.Pool.Return(frames);
        if (outbox.Answers.Count > 0)
            _connection.Answered(outbox.Answers.Count);
        if (outbox.Messages is [.., var last])
        {
            _metrics.Pushed(outbox.Messages.Count);
            if (_connection.Ending is null or { Status: not null })
                _passed?.UpTo(last.Id, outbox.Messages.Count);
        }
    }

    /// <summary>Sends one frame, or rather lets it gather if others are <paramref name="left"/>.</summary>
    private ValueTask SendAsync(ReadOnlyMemory<byte> frame, int left)
    {
        if (_batch is not null)
            _batch.MoreFollow = left > 0;
        var sending = _socket.SendAsync(frame, WebSocketMessageType.Text, endOfMessage: true, CancellationToken.None);
        return sending.IsCompletedSuccessfully ? ValueTask.CompletedTask : WatchAsync(sending);
    }

    /// <summary>A peer that takes nothing for <see cref="ChatOptions.SendTimeout"/> is cut off: nothing gentler gets through.</summary>
    private async ValueTask WatchAsync(ValueTask sending)
    {
        _stall ??= new StallWatch(_network, _connection, _options.SendTimeout, CloseTimeout, _socket.Abort, _time);
        _stall.Begin();
        await sending;
        _stall.End();
    }

    private async Task CloseAsync(ConnectionEnd end, Task reading)
    {
        try
        {
            if (end.Status is { } status)
                await _socket.CloseOutputAsync(status, status == WebSocketCloseStatus.Empty ? null : end.Reason, CancellationToken.None).WaitAsync(CloseTimeout, _time);
            if (end == ConnectionEnd.ProtocolError || end == ConnectionEnd.ServerFault)
                await Task.Delay(Linger, _time); // nobody reads any more
            else if (end.Status is not null)
                await reading.WaitAsync(CloseTimeout, _time); // the peer's close frame
        }
        catch (Exception e) when (IsPeerGone(e) || e is TimeoutException or ArgumentException)
        {
            // It was told, or cannot be.
        }
    }

    // ── Reading ───────────────────────────────────────────────────────────────────────────────────────────────────────

    /// <summary>Receives until the peer's close frame or the end of the line. What comes after the connection's end was decided counts as not read.</summary>
    private async Task ReadAsync()
    {
        try
        {
            while (true)
            {
                // An idle connection holds no buffer: this waits until bytes are there.
                var arrival = await _socket.ReceiveAsync(Memory<byte>.Empty, CancellationToken.None);
                if (arrival.MessageType == WebSocketMessageType.Binary)
                    _connection.End(ConnectionEnd.Binary);
                _message = ArrayPool<byte>.Shared.Rent(FirstBuffer);
                var length = arrival.EndOfMessage ? 0 : await ReadMessageAsync();
                if (_socket.CloseStatus is not null || _socket.State is WebSocketState.CloseReceived or WebSocketState.Closed)
                {
                    _connection.End(ConnectionEnd.ClosedByPeer(_socket.CloseStatus));
                    return;
                }

                await HandleAsync(_message.AsMemory(0, length));
                ReturnBuffer();
                await _connection.WaitForRoomAsync();
            }
        }
        catch (WebSocketException e) when (IsProtocolError(e))
        {
            _connection.End(ConnectionEnd.ProtocolError);
        }
        catch (Exception e) when (IsPeerGone(e))
        {
            _connection.End(ConnectionEnd.PeerGone);
        }
        catch (Exception e)
        {
            Log.Fault(_log, e, _connection.User);
            _connection.End(ConnectionEnd.ServerFault);
        }
        finally
        {
            Disarm(_slow);
            ReturnBuffer();
        }
    }

    /// <summary>Assembles a message out of its fragments, in <see cref="_message"/>; ends early at a close frame.</summary>
    /// <returns>Its length in bytes.</returns>
    private async ValueTask<int> ReadMessageAsync()
    {
        var length = 0;
        var timed = false;
        while (true)
        {
            // A receive returns when the frame ends or the memory is full: offer no more than one byte over the limit.
            var room = Math.Min(_message!.Length, _options.MaxMessageBytes + 1) - length;
            var receiving = _socket.ReceiveAsync(_message.AsMemory(length, room), CancellationToken.None);
            if (!receiving.IsCompleted && !timed)
            {
                Arm(ref _slow, _options.MessageTimeout, ConnectionEnd.MessageTooSlow);
                timed = true;
            }

            var part = await receiving;
            length += part.Count;
            if (!part.EndOfMessage)
                _connection.Share.Charge(Work.Fragment);
            if (length > _options.MaxMessageBytes)
                _connection.End(ConnectionEnd.MessageTooBig);
            if (part.EndOfMessage)
                break;
            if (_connection.Ending is not null)
                length = 0; // nothing of it is wanted any more, only its end
            if (length == _message.Length)
                GrowBuffer();
        }

        if (timed)
            Disarm(_slow);
        return length;
    }

    private async ValueTask HandleAsync(ReadOnlyMemory<byte> message)
    {
        // Both before the frame counts as unanswered: a fault in here must not keep the connection waiting for its answer.
        var receivedAt = _time.GetUtcNow().ToUnixTimeMilliseconds();
        var frame = ClientFrame.Read(message.Span, lastTo: _lastTo);
        _connection.Share.Charge(Work.Frame(message.Length, frame.Text.Length));
        if (!_connection.TryBeginAnswer(out var turn))
            return;
        if (frame.Error is not null)
        {
            _connection.Answer(turn, FrameAnswer.Refused(frame.Error, frame.ClientMessageId));
            return;
        }

        switch (frame.Type)
        {
            case ClientFrameType.Ping:
                _connection.Answer(turn, FrameAnswer.Pong);
                break;
            case ClientFrameType.Ack:
                await AckAsync(frame.Ids, turn);
                break;
            default:
                _lastTo = frame.To;
                var draft = new Draft(_connection.User, frame.To, frame.Text, frame.ClientMessageId);
                await _chat.SendAsync(new FrameSend(_chat, _connection, turn, draft, receivedAt));
                break;
        }
    }

    private ValueTask AckAsync(IReadOnlyList<long> ids, int turn)
    {
        _connection.Share.Charge(Work.Ack(ids.Count));
        return _chat.DeliverAsync(new PendingAck(
            _chat, _connection.Share, ids, error => _connection.Answer(turn, error is null ? null : FrameAnswer.Refused(error, null))));
    }

    private void GrowBuffer()
    {
        var larger = ArrayPool<byte>.Shared.Rent(Math.Min(_message!.Length * 2, _options.MaxMessageBytes + 1));
        _message.CopyTo(larger, 0);
        ReturnBuffer();
        _message = larger;
    }

    private void ReturnBuffer()
    {
        if (_message is not null)
            ArrayPool<byte>.Shared.Return(_message);
        _message = null;
    }

    // ── Endings ───────────────────────────────────────────────────────────────────────────────────────────────────────

    /// <summary>The framework found a breach of RFC 6455 and has answered it with a close frame already.</summary>
    private bool IsProtocolError(WebSocketException e) => e.WebSocketErrorCode == WebSocketError.Faulted && _socket.CloseStatus is null;

    private static bool IsPeerGone(Exception e) => e is WebSocketException or IOException or OperationCanceledException or ObjectDisposedException;

    private void Arm(ref ITimer? timer, TimeSpan timeout, ConnectionEnd end)
    {
        timer ??= _time.CreateTimer(_ =>
        {
            _connection.End(end);
            if (end.Status is null)
                _socket.Abort();
        }, null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        timer.Change(timeout, Timeout.InfiniteTimeSpan);
    }

    private static void Disarm(ITimer? timer) => timer?.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);

    /// <summary>Looks at the clock, and again as often as a silent line is pinged: clocks are set, and a timer does not notice.</summary>
    private void CheckExpiry(DateTimeOffset expiresAt)
    {
        var left = expiresAt - _time.GetUtcNow();
        if (left <= TimeSpan.Zero)
            _connection.End(ConnectionEnd.IdentityExpired);
        else
            _expiry!.Change(left < _options.KeepAliveInterval ? left : _options.KeepAliveInterval, Timeout.InfiniteTimeSpan);
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
