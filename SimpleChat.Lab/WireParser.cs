using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace SimpleChat.Lab;

/// <summary>
/// Takes the bytes of one way of a line as they come, and gives back its pieces. What makes no sense is passed on unread, so whatever two
/// peers say to each other gets through.
/// </summary>
internal sealed class WireParser
{
    /// <summary>A head or frame of more bytes is not waited for.</summary>
    private const int Longest = 1024 * 1024;

    private byte[] _buffer = new byte[16 * 1024];
    private int _start, _end;
    private State _state = State.Head;
    private long _left; // of a body, or of a chunk with the end of its line

    private enum State
    {
        Head,
        Body,
        ChunkSize,
        Chunk,
        Trailer,
        Frames,
        Unread,
    }

    /// <summary>Whether a head is next: the message before is through.</summary>
    public bool IsAtHead => _state == State.Head;

    private ReadOnlySpan<byte> Waiting => _buffer.AsSpan(_start, _end - _start);

    /// <summary>Room for the next bytes.</summary>
    public Memory<byte> Room()
    {
        if (_start > 0)
        {
            Waiting.CopyTo(_buffer);
            (_start, _end) = (0, _end - _start);
        }

        if (_end > _buffer.Length / 2)
            Array.Resize(ref _buffer, 2 * _buffer.Length);
        return _buffer.AsMemory(_end);
    }

    /// <summary>So many bytes were put into the room.</summary>
    public void Received(int count) => _end += count;

    /// <summary>After a head: a body follows, as the head says (RFC 9112, section 6.3).</summary>
    /// <param name="head">The head.</param>
    /// <param name="untilEnd">Whether a body without a length goes on until the connection ends; otherwise there is none.</param>
    public void ExpectBody(Head head, bool untilEnd)
    {
        if (head["Transfer-Encoding"]?.EndsWith("chunked", StringComparison.OrdinalIgnoreCase) == true)
            _state = State.ChunkSize;
        else if (long.TryParse(head["Content-Length"], NumberStyles.None, CultureInfo.InvariantCulture, out _left))
            _state = _left > 0 ? State.Body : State.Head;
        else
            _state = untilEnd ? State.Unread : State.Head;
    }

    /// <summary>After a head: WebSocket frames follow.</summary>
    public void ExpectFrames() => _state = State.Frames;

    /// <summary>The next piece; null if more bytes are needed.</summary>
    public Piece? Next() => Waiting.Length == 0 ? null : _state switch
    {
        State.Head => NextHead(),
        State.Body => NextOfBody(end: 0, State.Head),
        State.ChunkSize => NextChunk(),
        State.Chunk => NextOfBody(end: 2, State.ChunkSize),
        State.Trailer => NextOfTrailer(),
        State.Frames => NextFrame(),
        _ => Rest(),
    };

    /// <summary>What is left when no more bytes come: a piece that never became whole; null if there is nothing.</summary>
    public Piece? Rest() => Waiting.Length == 0 ? null : new Unread(Take(Waiting.Length));

    private Head? NextHead()
    {
        var end = Waiting.IndexOf("\r\n\r\n"u8);
        return end < 0 ? Patience<Head>() : new Head(Take(end + 4));
    }

    private Body NextOfBody(int end, State next)
    {
        var count = (int)Math.Min(_left, Waiting.Length);
        _left -= count;
        if (_left == 0)
            _state = next;
        var bytes = Take(count);
        return new Body(bytes, bytes.AsMemory(0, (int)Math.Max(0, count - Math.Max(0, end - _left))));
    }

    private Body? NextChunk()
    {
        var end = Waiting.IndexOf("\r\n"u8);
        if (end < 0)
            return Patience<Body>();
        var size = Encoding.ASCII.GetString(Waiting[..end]).Split(';')[0].Trim();
        if (!long.TryParse(size, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out _left) || _left < 0)
        {
            _state = State.Unread;
            return null;
        }

        _state = _left == 0 ? State.Trailer : State.Chunk;
        _left += 2;
        return new Body(Take(end + 2), default);
    }

    private Body? NextOfTrailer()
    {
        var end = Waiting.IndexOf("\r\n"u8);
        if (end < 0)
            return Patience<Body>();
        if (end == 0)
            _state = State.Head;
        return new Body(Take(end + 2), default);
    }

    private WebSocketFrame? NextFrame()
    {
        if (Waiting.Length < 2)
            return null;
        var header = 2 + (Waiting[1] & 0x7F) switch { 126 => 2, 127 => 8, _ => 0 } + ((Waiting[1] & 0x80) != 0 ? 4 : 0);
        if (Waiting.Length < header)
            return null;
        var length = (Waiting[1] & 0x7F) switch
        {
            126 => BinaryPrimitives.ReadUInt16BigEndian(Waiting[2..]),
            127 => BinaryPrimitives.ReadUInt64BigEndian(Waiting[2..]),
            var few => (ulong)few,
        };
        if (length > Longest)
        {
            _state = State.Unread; // whoever takes it ends the connection, or gets it unread
            return new WebSocketFrame(Take(Waiting.Length), header, length);
        }

        var all = header + (int)length;
        return Waiting.Length < all ? null : new WebSocketFrame(Take(all), header, length);
    }

    /// <summary>Waits for more bytes, unless it is too many already.</summary>
    private T? Patience<T>() where T : Piece
    {
        if (Waiting.Length > Longest)
            _state = State.Unread;
        return null;
    }

    private byte[] Take(int count)
    {
        var bytes = Waiting[..count].ToArray();
        _start += count;
        return bytes;
    }
}
