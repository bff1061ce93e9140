using System.Net.Sockets;
using System.Threading.Channels;

namespace SimpleChat.Lab;

/// <summary>
/// One way of a line. It reads and hands over each piece; what is handed back goes on, in that order, when the cable lets it. The one that
/// writes to a socket is the one flow that leads to it.
/// </summary>
/// <param name="cable">Says when things go on.</param>
/// <param name="from">Where the pieces come from.</param>
/// <param name="to">Where they go.</param>
/// <param name="reached">Takes each piece that reaches the cable.</param>
/// <param name="isUp">Whether it leads to the server.</param>
internal sealed class Flow(Cable cable, Socket from, Socket to, Func<Flow, Piece, Task> reached, bool isUp) : IDisposable
{
    /// <summary>So many pieces wait before the cable stops reading.</summary>
    private readonly Channel<Waiting> _waiting = Channel.CreateBounded<Waiting>(1024);

    private readonly SemaphoreSlim _writing = new(1);
    private int _count;

    /// <param name="Piece">What waits.</param>
    /// <param name="ArrivedAt">When it came, as the clock counts.</param>
    /// <param name="Entry">Its entry, which says that it is held; 0 if it is not.</param>
    private readonly record struct Waiting(Piece Piece, long ArrivedAt, int Entry);

    /// <summary>Whether it leads to the server.</summary>
    public bool IsUp => isUp;

    /// <summary>up or down.</summary>
    public string Way => isUp ? "up" : "down";

    /// <summary>Takes the pieces out of the bytes.</summary>
    public WireParser Parser { get; } = new();

    /// <summary>Takes the messages out of the frames.</summary>
    public MessageReading Messages { get; } = new(isUp);

    /// <summary>Whether what comes now has to wait.</summary>
    public bool IsHeld => !cable.IsFree || Volatile.Read(ref _count) > 0 && !cable.IsLive;

    /// <summary>Carries everything, until there is no more and all of it went on.</summary>
    /// <returns>Whether the end was a reset rather than an orderly end.</returns>
    /// <exception cref="SocketException">The one that it leads to is gone.</exception>
    /// <exception cref="OperationCanceledException">The line ended.</exception>
    public async Task<bool> RunAsync(CancellationToken end)
    {
        var reading = ReadAllAsync(end);
        await foreach (var (piece, arrivedAt, entry) in _waiting.Reader.ReadAllAsync(end))
        {
            await cable.PassAsync(piece, arrivedAt, end);
            cable.WentOn(entry);
            await WriteAsync(piece, end);
            Interlocked.Decrement(ref _count);
        }

        return await reading;
    }

    /// <summary>Lets a piece go on, as soon as it may.</summary>
    /// <param name="piece">What goes on.</param>
    /// <param name="entry">Its entry, if that says that it is held.</param>
    /// <param name="end">The line ends.</param>
    public async Task GoOnAsync(Piece piece, int entry, CancellationToken end)
    {
        if (piece is WebSocketFrame { IsHeartbeat: true } && cable.PassesHeartbeats)
        {
            cable.WentOn(entry);
            await WriteAsync(piece, end);
            return;
        }

        Interlocked.Increment(ref _count);
        await _waiting.Writer.WriteAsync(new Waiting(piece, cable.Now, entry), end);
    }

    public void Dispose() => _writing.Dispose();

    private async Task<bool> ReadAllAsync(CancellationToken end)
    {
        try
        {
            while (true)
            {
                var count = await from.ReceiveAsync(Parser.Room(), end);
                if (!isUp)
                    await cable.Reading.PassAsync(end);
                if (count == 0)
                    break;
                cable.Carried(isUp, count);
                Parser.Received(count);
                while (Parser.Next() is { } piece)
                    await reached(this, piece);
            }

            if (Parser.Rest() is { } rest)
                await reached(this, rest);
            return false;
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            return true;
        }
        finally
        {
            _waiting.Writer.TryComplete();
        }
    }

    private async Task WriteAsync(Piece piece, CancellationToken end)
    {
        await _writing.WaitAsync(end);
        try
        {
            for (ReadOnlyMemory<byte> left = piece.Bytes; left.Length > 0;)
                left = left[await to.SendAsync(left, end)..];
        }
        finally
        {
            _writing.Release();
        }
    }
}
