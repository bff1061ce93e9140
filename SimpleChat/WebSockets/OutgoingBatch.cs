using System.Buffers;
using System.IO.Pipelines;
using SimpleChat.Limits;

namespace SimpleChat.WebSockets;

/// <summary>
/// Stands between a WebSocket and its network. Out: while more frames follow, frames gather; the last one sends them all. Otherwise each
/// frame would be a system call. Pongs and close frames always go out at once. The WebSocket writes one frame at a time, its own pongs and
/// close frames included, so nothing here needs a lock. In: a user in debt is not read further (<see cref="UserShare"/>).
/// </summary>
/// <param name="output">
/// What goes to the peer. A finished flush means that the operating system has the bytes, because Kestrel keeps none back
/// (<c>SocketTransportOptions.MaxWriteBufferSize</c>).
/// </param>
internal sealed class OutgoingBatch(Stream input, PipeWriter output) : Stream
{
    /// <summary>The most bytes that gather, and one frame more. Beyond it one more system call makes no difference.</summary>
    private const int BatchSize = 16 * 1024;

    private bool _isControl; // the frame just written
    private ValueTask<FlushResult> _passing; // the flush before, if nobody waited for it

    /// <summary>Whether more frames follow the next one. Set by whoever sends, before each frame.</summary>
    public bool MoreFollow { get; set; }

    /// <summary>
    /// Whether each flush waits until the operating system has the bytes, because that counts as delivered. If not, a flush waits only for
    /// the one before it. So one batch is on its way while the next one is made.
    /// </summary>
    public bool WaitsForNetwork { get; set; }

    /// <summary>Who pays for what comes in; null until it is known.</summary>
    public UserShare? Share { get; set; }

    /// <summary>Gathers a frame. It never waits; <see cref="FlushAsync"/> does.</summary>
    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        _isControl = (buffer.Span[0] & 0x08) != 0; // the opcode's highest bit (RFC 6455, section 5.5)
        if (_isControl)
            Share?.Charge(Work.Frame(buffer.Length, text: 0)); // nearly always a pong, which the peer asked for
        output.Write(buffer.Span);
        return ValueTask.CompletedTask;
    }

    /// <summary>Called by the WebSocket after each frame. Sends what has gathered, unless more frames follow.</summary>
    /// <exception cref="IOException">The peer takes nothing any more.</exception>
    public override Task FlushAsync(CancellationToken cancellationToken)
    {
        if (MoreFollow && !_isControl && output.UnflushedBytes < BatchSize)
            return Task.CompletedTask;
        var before = _passing;
        _passing = default;
        if (!before.IsCompletedSuccessfully)
            return FlushAfterAsync(before);
        return before.Result.IsCompleted ? Task.FromException(Gone()) : PassOnAsync();
    }

    private async Task FlushAfterAsync(ValueTask<FlushResult> before)
    {
        if ((await before).IsCompleted)
            throw Gone();
        await PassOnAsync();
    }

    private Task PassOnAsync()
    {
        var flushing = output.FlushAsync(CancellationToken.None);
        if (flushing.IsCompletedSuccessfully)
            return flushing.Result.IsCompleted ? Task.FromException(Gone()) : Task.CompletedTask;
        if (WaitsForNetwork || _isControl)
            return WaitAsync(flushing);
        _passing = flushing;
        return Task.CompletedTask;

        static async Task WaitAsync(ValueTask<FlushResult> flushing)
        {
            if ((await flushing).IsCompleted)
                throw Gone();
        }
    }

    private static IOException Gone() => new("The peer takes nothing any more.");

    /// <summary>Reads from the peer, once the user's debt is paid.</summary>
    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var paying = Share?.PayAsync(cancellationToken) ?? Task.CompletedTask;
        return paying.IsCompletedSuccessfully ? input.ReadAsync(buffer, cancellationToken) : PayAndReadAsync();

        async ValueTask<int> PayAndReadAsync()
        {
            await paying;
            return await input.ReadAsync(buffer, cancellationToken);
        }
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            input.Dispose();
        base.Dispose(disposing);
    }

    // ── Never called by a WebSocket

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

    public override void Flush() => throw new NotSupportedException();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();
}
