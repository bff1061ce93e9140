using System.Net.Sockets;
using System.Net.WebSockets;
using SimpleChat.Network;
using SimpleChat.Queues;
using SimpleChat.Wire;

namespace SimpleChat.WebSockets;

/// <summary>The only one that writes to a WebSocket: answers, receipts and messages, each batch in one piece.</summary>
/// <param name="batch">Between it and the network; null if there is no network.</param>
/// <param name="network">The operating system's socket; null if there is none, or others speak over it too.</param>
/// <param name="writingDelivers">Whether a message counts as delivered when it was written, or only when it is acknowledged.</param>
internal sealed class Sending(WebSocketLine line, OutgoingBatch? batch, Socket? network, bool writingDelivers)
{
    private readonly WrittenMessages? _written = writingDelivers
        ? new WrittenMessages(line.Services.Chat, line.Connection, line.Services.Time)
        : null;
    private StallWatch? _stall;

    /// <summary>Writes until the connection ends and every frame that was read is answered.</summary>
    public async Task RunAsync()
    {
        await GreetAsync();
        using var drain = line.Services.Chat.DrainOf(line.Connection);
        while (true)
        {
            var end = line.Connection.Ending; // asked first, so that what waited at the end still goes out
            await SendAsync(line.Answers.Take(out var count), count, drain.Next());
            if (end is not null && (end.Status is null || line.Answers.AreWritten))
                return;
            if (!drain.HasMore)
                await line.Connection.Signal.WaitAsync();
        }
    }

    /// <summary>The peer reads nothing, so no close frame would get through.</summary>
    private void Cut()
    {
        line.Connection.End(ConnectionEnd.PeerStalled);
        line.Socket.Abort();
    }

    private async ValueTask GreetAsync()
    {
        var frames = FrameWriter.Pool.Get();
        await SendAsync(frames.Connected(line.Connection.User, line.Services.Options.MaxMessageBytes), left: 0);
        FrameWriter.Pool.Return(frames);
    }

    /// <summary>Sends what there is, in one piece. An idle connection holds nothing of what this needs.</summary>
    private async ValueTask SendAsync(Answers.Answer? answer, int count, Outbox outbox)
    {
        var left = count + outbox.Receipts.Count + outbox.Messages.Count;
        if (left == 0)
            return;
        var frames = FrameWriter.Pool.Get();
        for (; answer is not null; answer = answer.Next)
        {
            if (answer.Frame is not { } frame)
                continue; // it needs none
            if (frame.Refusal is { } refusal)
                line.Services.Refusals.Refused(refusal.Reason, line.Connection.User);
            await SendAsync(frames.Answer(frame), --left);
        }

        foreach (var receipt in outbox.Receipts)
            await SendAsync(frames.Delivered(receipt), --left);
        foreach (var message in outbox.Messages)
            await SendAsync(frames.Message(message), --left);
        FrameWriter.Pool.Return(frames);
        if (count > 0)
            line.Answers.Written(count);
        if (outbox.Messages is [.., var last])
        {
            line.Services.Metrics.Pushed(outbox.Messages.Count);
            if (line.Connection.Ending is null or { Status: not null })
                _written?.UpTo(last.Id, outbox.Messages.Count);
        }
    }

    /// <summary>Sends one frame. It gathers if more frames are <paramref name="left"/>.</summary>
    private ValueTask SendAsync(ReadOnlyMemory<byte> frame, int left)
    {
        if (batch is not null)
            batch.MoreFollow = left > 0;
        var sending = line.Socket.SendAsync(frame, WebSocketMessageType.Text, endOfMessage: true, CancellationToken.None);
        return sending.IsCompletedSuccessfully ? ValueTask.CompletedTask : WatchAsync(sending);
    }

    /// <summary>A peer that takes nothing for <c>Chat:SendTimeout</c> is cut off.</summary>
    private ValueTask WatchAsync(ValueTask sending)
    {
        _stall ??= new StallWatch(
            () => line.Connection.Ending is not null, Cut, network, line.Services.Options.SendTimeout, line.Services.Time);
        return _stall.WatchAsync(sending);
    }
}
