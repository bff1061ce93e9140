using System.Buffers;
using System.Collections.Concurrent;
using System.Globalization;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json;

namespace SimpleChat.Benchmarks;

/// <summary>
/// One user at the relay. Its read loop answers the sender and writes to the recipient, into memory; only when it would have to wait for
/// more does it flush those it wrote to. An idle one holds no buffer.
/// </summary>
internal sealed class RelayConnection(
    string user, WebSocket socket, BatchedStream stream, ConcurrentDictionary<string, RelayConnection> users)
{
    private const int LargestMessage = 4096;

    private static long _lastId;

    [ThreadStatic]
    private static byte[]? _scratch;
    [ThreadStatic]
    private static byte[]? _time;
    [ThreadStatic]
    private static long _timeOf;

    private readonly ConcurrentDictionary<string, RelayConnection>.AlternateLookup<ReadOnlySpan<char>> _users =
        users.GetAlternateLookup<ReadOnlySpan<char>>();
    private readonly byte[] _name = Encoding.UTF8.GetBytes(user);
    private readonly Lock _gate = new();
    private readonly HashSet<RelayConnection> _written = [];

    public async Task RunAsync()
    {
        Write([.. "{\"type\":\"connected\",\"user\":\""u8, .. _name, .. "\"}"u8]);
        stream.Release();
        byte[]? buffer = null;
        while (true)
        {
            // A receive into nothing completes when bytes are there: until then no buffer is needed.
            var arrival = socket.ReceiveAsync(Memory<byte>.Empty, CancellationToken.None);
            if (!arrival.IsCompleted)
            {
                FlushWritten();
                if (buffer is not null)
                    ArrayPool<byte>.Shared.Return(buffer);
                buffer = null;
            }

            if ((await arrival).MessageType == WebSocketMessageType.Close)
                break;
            buffer ??= ArrayPool<byte>.Shared.Rent(LargestMessage);
            var received = await socket.ReceiveAsync(buffer.AsMemory(), CancellationToken.None);
            if (received.MessageType == WebSocketMessageType.Close)
                break;
            Relay(buffer.AsSpan(0, received.Count));
        }

        await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, CancellationToken.None);
    }

    private void Relay(ReadOnlySpan<byte> json)
    {
        ReadOnlySpan<byte> to = default, text = default;
        var reader = new Utf8JsonReader(json);
        while (reader.Read())
        {
            if (reader.TokenType != JsonTokenType.PropertyName)
                continue;
            var isTo = reader.ValueTextEquals("to"u8);
            var isText = reader.ValueTextEquals("text"u8);
            reader.Read();
            if (isTo)
                to = reader.ValueSpan;
            else if (isText)
                text = reader.ValueSpan; // passed on as it is escaped
        }

        var id = Interlocked.Increment(ref _lastId);
        var frame = new FrameWriter(_scratch ??= new byte[2 * LargestMessage]);
        frame.Add("{\"type\":\"sent\",\"id\":"u8).Add(id).Add(",\"to\":\""u8).Add(to).Add("\",\"sentAt\":\""u8).Add(Time()).Add("\"}"u8);
        Write(frame.Written);
        _written.Add(this);

        Span<char> name = stackalloc char[128];
        if (!_users.TryGetValue(name[..Encoding.UTF8.GetChars(to, name)], out var recipient))
            return;
        frame = new FrameWriter(_scratch);
        frame.Add("{\"type\":\"message\",\"id\":"u8).Add(id).Add(",\"from\":\""u8).Add(_name).Add("\",\"to\":\""u8).Add(to)
            .Add("\",\"text\":\""u8).Add(text).Add("\",\"sentAt\":\""u8).Add(Time()).Add("\"}"u8);
        recipient.Write(frame.Written);
        _written.Add(recipient);

        frame = new FrameWriter(_scratch);
        frame.Add("{\"type\":\"delivered\",\"id\":"u8).Add(id).Add(",\"to\":\""u8).Add(to).Add("\"}"u8);
        Write(frame.Written);
    }

    /// <summary>The one way in which frames get into this socket's stream.</summary>
    private void Write(ReadOnlySpan<byte> frame)
    {
        lock (_gate)
        {
            var bytes = ArrayPool<byte>.Shared.Rent(frame.Length);
            frame.CopyTo(bytes);
            stream.Hold();
            var sent = socket.SendAsync(
                bytes.AsMemory(0, frame.Length), WebSocketMessageType.Text, endOfMessage: true, CancellationToken.None);
            if (!sent.IsCompletedSuccessfully) // it wrote into memory, unless a ping is just being written or the client is gone
                ((IAsyncResult)sent.AsTask()).AsyncWaitHandle.WaitOne();
            ArrayPool<byte>.Shared.Return(bytes);
        }
    }

    private void Flush() => stream.Release();

    private void FlushWritten()
    {
        foreach (var connection in _written)
            connection.Flush();
        _written.Clear();
    }

    private static ReadOnlySpan<byte> Time()
    {
        var now = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();
        if (now != _timeOf)
        {
            _timeOf = now;
            var time = DateTimeOffset.FromUnixTimeMilliseconds(now);
            _time = Encoding.ASCII.GetBytes(time.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture));
        }

        return _time;
    }

    /// <summary>Writes a frame's parts one behind the other.</summary>
    private ref struct FrameWriter(Span<byte> target)
    {
        private readonly Span<byte> _target = target;
        private int _length;

        public readonly ReadOnlySpan<byte> Written => _target[.._length];

        [System.Diagnostics.CodeAnalysis.UnscopedRef]
        public ref FrameWriter Add(scoped ReadOnlySpan<byte> bytes)
        {
            bytes.CopyTo(_target[_length..]);
            _length += bytes.Length;
            return ref this;
        }

        [System.Diagnostics.CodeAnalysis.UnscopedRef]
        public ref FrameWriter Add(long number)
        {
            number.TryFormat(_target[_length..], out var written, default, CultureInfo.InvariantCulture);
            _length += written;
            return ref this;
        }
    }
}
