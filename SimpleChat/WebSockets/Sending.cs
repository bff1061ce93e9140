using System.Net.Sockets;
using System.Net.WebSockets;
using SimpleChat.Network;
using SimpleChat.Queues;
using SimpleChat.Wire;

namespace SimpleChat.WebSockets;

/// <summary>The one writer of a WebSocket: answers, receipts and messages, each batch in one piece.</summary>
/// <param name="socket">The WebSocket.</param>
/// <param name="batch">Between it and the network; null if there is no network.</param>
/// <param name="network">The operating system's socket; null if there is none, or others speak over it too.</param>
/// <param name="connection">What it carries, just joined.</param>
/// <param name="answers">The answers to its frames.</param>
/// <param name="writingDelivers">Whether a message counts as delivered when it was written, or only when it is acknowledged.</param>
/// <param name="services">The chat and its limits.</param>
internal sealed class Sending(
    WebSocket socket, OutgoingBatch? batch, Socket? network, Connection connection, Answers answers, bool writingDelivers,
    WebSocketServices services) : IDisposable
{
    private readonly WrittenMessages? _written = writingDelivers ? new WrittenMessages(services.Chat, connection, services.Time) : null;
    private StallWatch? _stall;

    /// <summary>Writes until the connection ends and every frame that was read is answered.</summary>
    public async Task RunAsync()
    {
        await GreetAsync();
        using var drain = services.Chat.DrainOf(connection);
        while (true)
        {
            var end = connection.Ending; // asked before: what waited at the end still goes out
            await SendAsync(answers.Take(out var count), count, drain.Next());
            if (end is not null && (end.Status is null || answers.AreWritten))
                return;
            if (!drain.HasMore)
                await connection.Signal.WaitAsync();
        }
    }

    public void Dispose() => _stall?.Dispose();

    private async ValueTask GreetAsync()
    {
        var frames = FrameWriter.Pool.Get();
        await SendAsync(frames.Connected(connection.User, services.Options.MaxMessageBytes), left: 0);
        FrameWriter.Pool.Return(frames);
    }

    /// <summary>Sends what there is, in one piece. What this needs, an idle connection does not hold.</summary>
    private async ValueTask SendAsync(Answers.Answer? answer, int count, Outbox outbox)
    {
        var left = count + outbox.Receipts.Count + outbox.Messages.Count;
        if (left == 0)
            return;
        var frames = FrameWriter.Pool.Get();
        for (; answer is not null; answer = answer.Next)
        {
            var frame = answer.Frame!.Value;
            if (frame.Refusal is { } refusal)
                services.Refusals.Refused(refusal.Reason, connection.User);
            await SendAsync(frames.Answer(frame), --left);
        }

        foreach (var receipt in outbox.Receipts)
            await SendAsync(frames.Delivered(receipt), --left);
        foreach (var message in outbox.Messages)
            await SendAsync(frames.Message(message), --left);
        FrameWriter.Pool.Return(frames);
        if (count > 0)
            answers.Written(count);
        if (outbox.Messages is [.., var last])
        {
            services.Metrics.Pushed(outbox.Messages.Count);
            if (connection.Ending is null or { Status: not null })
                _written?.UpTo(last.Id, outbox.Messages.Count);
        }
    }

    /// <summary>Sends one frame, or lets it gather if others are <paramref name="left"/>.</summary>
    private ValueTask SendAsync(ReadOnlyMemory<byte> frame, int left)
    {
        if (batch is not null)
            batch.MoreFollow = left > 0;
        var sending = socket.SendAsync(frame, WebSocketMessageType.Text, endOfMessage: true, CancellationToken.None);
        return sending.IsCompletedSuccessfully ? ValueTask.CompletedTask : WatchAsync(sending);
    }

    /// <summary>A peer that takes nothing for <c>Chat:SendTimeout</c> is cut off: nothing gentler gets through.</summary>
    private async ValueTask WatchAsync(ValueTask sending)
    {
        _stall ??= new StallWatch(network, services.Options.SendTimeout, () => connection.Ending is not null, CutOff, services.Time);
        _stall.Begin();
        await sending;
        _stall.End();
    }

    private void CutOff()
    {
        connection.End(ConnectionEnd.PeerStalled);
        socket.Abort();
    }
}
