using System.Buffers;
using Microsoft.AspNetCore.Http.Features;

namespace SimpleChat;

/// <summary>
/// Between a WebSocket and its network stream: while it is held, frames gather in memory; when it is released they go out in one piece. Without it every
/// frame is flushed by itself, which is a system call each. The WebSocket's own pongs and close frames come through here too, at any time, so
/// everything goes through memory and one loop alone writes to the network.
/// </summary>
internal sealed class OutgoingBatch(Stream network) : Stream
{
    private const int FirstBuffer = 1024;

    private readonly Lock _gate = new();

    // Under _gate.
    private byte[] _waiting = [];
    private int _count;
    private bool _held;
    private Task _passing = Task.CompletedTask;

    /// <summary>Middleware: from here on whoever opens a WebSocket gets it with a batch in front of the network; <see cref="Of"/> finds it.</summary>
    public static Task Use(HttpContext context, RequestDelegate next)
    {
        if (context.Features.Get<IHttpUpgradeFeature>() is { IsUpgradableRequest: true } upgrade)
            context.Features.Set<IHttpUpgradeFeature>(new BatchedUpgrade(upgrade));
        if (context.Features.Get<IHttpExtendedConnectFeature>() is { IsExtendedConnect: true } connect)
            context.Features.Set<IHttpExtendedConnectFeature>(new BatchedConnect(connect));
        return next(context);
    }

    /// <summary>The batch in front of this request's network stream; null if there is no network, as in a test in memory.</summary>
    public static OutgoingBatch? Of(HttpContext context) =>
        (context.Features.Get<IHttpUpgradeFeature>() as BatchedUpgrade)?.Batch ?? (context.Features.Get<IHttpExtendedConnectFeature>() as BatchedConnect)?.Batch;

    /// <summary>Bytes gathered and not passed on yet.</summary>
    public int Count
    {
        get
        {
            lock (_gate)
                return _count;
        }
    }

    /// <summary>From now on frames gather.</summary>
    public void Hold()
    {
        lock (_gate)
            _held = true;
    }

    /// <summary>Passes everything on. Completes when the network has taken it.</summary>
    public Task ReleaseAsync()
    {
        lock (_gate)
        {
            _held = false;
            return PassOn();
        }
    }

    /// <summary>Gathers; waits for nothing, because <see cref="FlushAsync"/> does.</summary>
    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        lock (_gate)
        {
            if (_waiting.Length < _count + buffer.Length)
            {
                var larger = ArrayPool<byte>.Shared.Rent(Math.Max(FirstBuffer, 2 * (_count + buffer.Length)));
                _waiting.AsSpan(0, _count).CopyTo(larger);
                Return(_waiting);
                _waiting = larger;
            }

            buffer.Span.CopyTo(_waiting.AsSpan(_count));
            _count += buffer.Length;
        }

        return ValueTask.CompletedTask;
    }

    /// <summary>What a WebSocket does after each frame: nothing while frames gather, otherwise waits until the network has taken all of them.</summary>
    public override Task FlushAsync(CancellationToken cancellationToken)
    {
        lock (_gate)
            return _held ? Task.CompletedTask : PassOn();
    }

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => network.ReadAsync(buffer, cancellationToken);

    /// <summary>Under the gate: starts the loop that writes, unless it runs already.</summary>
    private Task PassOn()
    {
        if (_count > 0 && _passing.IsCompleted)
            _passing = PassOnAsync();
        return _passing;
    }

    private async Task PassOnAsync()
    {
        while (true)
        {
            byte[] bytes;
            int count;
            lock (_gate)
            {
                if (_count == 0)
                    return;
                (bytes, count) = (_waiting, _count);
                (_waiting, _count) = ([], 0);
            }

            try
            {
                await network.WriteAsync(bytes.AsMemory(0, count));
            }
            finally
            {
                Return(bytes);
            }
        }
    }

    private static void Return(byte[] buffer)
    {
        if (buffer.Length > 0)
            ArrayPool<byte>.Shared.Return(buffer);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            network.Dispose();
        base.Dispose(disposing);
    }

    private sealed class BatchedUpgrade(IHttpUpgradeFeature upgrade) : IHttpUpgradeFeature
    {
        public OutgoingBatch? Batch { get; private set; }

        public bool IsUpgradableRequest => upgrade.IsUpgradableRequest;

        public async Task<Stream> UpgradeAsync() => Batch = new OutgoingBatch(await upgrade.UpgradeAsync());
    }

    private sealed class BatchedConnect(IHttpExtendedConnectFeature connect) : IHttpExtendedConnectFeature
    {
        public OutgoingBatch? Batch { get; private set; }

        public bool IsExtendedConnect => connect.IsExtendedConnect;

        public string? Protocol => connect.Protocol;

        public async ValueTask<Stream> AcceptAsync() => Batch = new OutgoingBatch(await connect.AcceptAsync());
    }

    // ── What a WebSocket never asks of its stream ─────────────────────────────────────────────────────────────────────

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
