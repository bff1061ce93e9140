using System.Buffers;

namespace SimpleChat.Benchmarks;

/// <summary>
/// What a WebSocket writes is collected in memory and passed on in one piece: a WebSocket flushes each frame, which is a system call each.
/// While it is held nothing is passed on; <see cref="Release"/> passes on everything, and whatever is added before that is done.
/// </summary>
internal sealed class BatchedStream(Stream inner) : Stream
{
    private readonly Lock _gate = new();
    private byte[]? _waiting;
    private int _count;
    private bool _held, _isWriting;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

    public void Hold()
    {
        lock (_gate)
            _held = true;
    }

    public void Release()
    {
        lock (_gate)
            _held = false;
        Flush();
    }

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
        inner.ReadAsync(buffer, cancellationToken);

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        lock (_gate)
        {
            if (_waiting is null || _waiting.Length < _count + buffer.Length)
            {
                var larger = ArrayPool<byte>.Shared.Rent(Math.Max(4096, 2 * (_count + buffer.Length)));
                _waiting.AsSpan(0, _count).CopyTo(larger);
                if (_waiting is not null)
                    ArrayPool<byte>.Shared.Return(_waiting);
                _waiting = larger;
            }

            buffer.Span.CopyTo(_waiting.AsSpan(_count));
            _count += buffer.Length;
        }

        return default;
    }

    public override Task FlushAsync(CancellationToken cancellationToken)
    {
        Flush();
        return Task.CompletedTask;
    }

    public override void Flush()
    {
        lock (_gate)
        {
            if (_held || _isWriting || _count == 0)
                return;
            _isWriting = true;
        }

        _ = PassOnAsync();
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    private async Task PassOnAsync()
    {
        while (true)
        {
            byte[] bytes;
            int count;
            lock (_gate)
            {
                if (_count == 0)
                {
                    _isWriting = false;
                    return;
                }

                (bytes, count) = (_waiting!, _count);
                (_waiting, _count) = (null, 0);
            }

            try
            {
                await inner.WriteAsync(bytes.AsMemory(0, count));
            }
            catch (Exception e)
                when (e is IOException or OperationCanceledException or InvalidOperationException or ObjectDisposedException)
            {
                // The client is gone; its read loop notices.
            }

            ArrayPool<byte>.Shared.Return(bytes);
        }
    }
}
