using System.Buffers;
using System.Net.WebSockets;
using SimpleChat.Limits;
using SimpleChat.Wire;

namespace SimpleChat.WebSockets;

/// <summary>The only one that reads a WebSocket. It assembles messages within the limits, and does what each asks for.</summary>
internal sealed class Receiving(WebSocketLine line) : IDisposable
{
    /// <summary>The first buffer for a message. It grows with the message, never with what a frame claims to be.</summary>
    private const int FirstBuffer = 4096;

    private ITimer? _slow; // runs while a message is incomplete
    private byte[]? _message; // rented while a message is read
    private string _lastTo = "";

    /// <summary>
    /// Receives until the peer's close frame, or until the line is cut. What comes once the connection is ending counts as not read.
    /// </summary>
    public async Task RunAsync()
    {
        try
        {
            while (true)
            {
                // An idle connection holds no buffer: this waits until bytes are there.
                var arrival = await line.Socket.ReceiveAsync(Memory<byte>.Empty, CancellationToken.None);
                if (arrival.MessageType == WebSocketMessageType.Binary)
                    line.Connection.End(ConnectionEnd.Binary);
                _message = ArrayPool<byte>.Shared.Rent(FirstBuffer);
                var length = arrival.EndOfMessage ? 0 : await ReadMessageAsync();
                if (line.Socket.CloseStatus is not null || line.Socket.State is WebSocketState.CloseReceived or WebSocketState.Closed)
                {
                    line.Connection.End(ConnectionEnd.ClosedByPeer(line.Socket.CloseStatus));
                    return;
                }

                await HandleAsync(_message.AsMemory(0, length));
                ReturnBuffer();
                await line.Answers.WaitForRoomAsync();
            }
        }
        catch (Exception e)
        {
            line.Fail(e);
        }
        finally
        {
            _slow?.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
            ReturnBuffer();
        }
    }

    public void Dispose() => _slow?.Dispose();

    /// <summary>Assembles a message out of its fragments, in <see cref="_message"/>. Ends early at a close frame.</summary>
    /// <returns>Its length in bytes.</returns>
    private async ValueTask<int> ReadMessageAsync()
    {
        var limit = line.Services.Options.MaxMessageBytes;
        var length = 0;
        var isTimed = false;
        while (true)
        {
            // A receive returns when the frame ends or the memory is full: offer no more than one byte over the limit.
            var room = Math.Min(_message!.Length, limit + 1) - length;
            var receiving = line.Socket.ReceiveAsync(_message.AsMemory(length, room), CancellationToken.None);
            if (!receiving.IsCompleted && !isTimed)
            {
                _slow ??= line.Services.Time.CreateTimer(
                    _ => line.Connection.End(ConnectionEnd.MessageTooSlow), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
                _slow.Change(line.Services.Options.MessageTimeout, Timeout.InfiniteTimeSpan);
                isTimed = true;
            }

            var part = await receiving;
            length += part.Count;
            if (!part.EndOfMessage)
                line.Connection.Share.Charge(Work.Fragment);
            if (length > limit)
                line.Connection.End(ConnectionEnd.MessageTooBig);
            if (part.EndOfMessage)
                break;
            if (line.Connection.Ending is not null)
                length = 0; // its content is not wanted any more, only its end
            if (length == _message.Length)
                GrowBuffer();
        }

        if (isTimed)
            _slow!.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        return length;
    }

    private async ValueTask HandleAsync(ReadOnlyMemory<byte> message)
    {
        // Both before the frame waits for an answer: a fault in here must not leave the connection waiting for it.
        var receivedAt = line.Services.Time.GetUtcNow().ToUnixTimeMilliseconds();
        var frame = IncomingFrame.Read(message.Span, lastTo: _lastTo);
        line.Connection.Share.Charge(Work.Frame(message.Length, frame.Text.Length));
        if (line.Answers.Begin(frame.ClientMessageId) is not { } answer)
            return;
        if (frame.Refusal is not null)
        {
            answer.Refused(frame.Refusal);
            return;
        }

        var chat = line.Services.Chat;
        switch (frame.Type)
        {
            case FrameType.Ping:
                answer.Pong();
                break;
            case FrameType.Ack:
                line.Connection.Share.Charge(Work.Ack(frame.Ids.Count));
                await chat.Writer.EnqueueAsync(new Delivery(chat, line.Connection.Share, IdRange.Of(frame.Ids), frame.Ids.Count, answer));
                break;
            default:
                _lastTo = frame.To;
                var draft = new Draft(line.Connection.User, frame.To, frame.Text, frame.ClientMessageId, receivedAt);
                await new Send(chat, line.Connection.Share, draft, answer, line.Connection).ReceivedAsync();
                break;
        }
    }

    private void GrowBuffer()
    {
        var larger = ArrayPool<byte>.Shared.Rent(Math.Min(_message!.Length * 2, line.Services.Options.MaxMessageBytes + 1));
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
}
