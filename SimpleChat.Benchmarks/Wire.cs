using System.Buffers.Binary;
using System.Text;

namespace SimpleChat.Benchmarks;

/// <summary>
/// RFC 6455 and the contract's frames as a client needs them, straight in and out of buffers: no JSON reader, nothing allocated.
/// </summary>
internal static class Wire
{
    public const byte Continuation = 0, Text = 1, Close = 8, Ping = 9, Pong = 10;

    /// <summary>Bytes before a masked payload of at most 65535 bytes, in its longer form.</summary>
    public const int LongHeader = 8;

    /// <summary>Every client frame is masked with this: not zero, because a server may spare itself the unmasking then.</summary>
    private static ReadOnlySpan<byte> Mask => [0x5a, 0xc3, 0x96, 0x2d];

    /// <summary>The sample key of RFC 6455, section 1.3; the server cannot tell it from a random one.</summary>
    public static ReadOnlySpan<byte> Accepted => "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="u8;

    public static byte[] Handshake(int port, string user, string subprotocol) => Encoding.ASCII.GetBytes(
        $"GET /chat?user={user} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
        $"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: {subprotocol}\r\n\r\n");

    /// <summary>Reads one server frame off the front of <paramref name="data"/>. False: it isn't whole yet.</summary>
    /// <param name="data">What has come.</param>
    /// <param name="opcode">The frame's.</param>
    /// <param name="payload">What it holds.</param>
    /// <param name="length">How long it is with its header.</param>
    /// <param name="fragments">The server may send a message in several frames.</param>
    /// <exception cref="NotProvenException">A frame that this server has no reason to send.</exception>
    public static bool TryRead(
        ReadOnlySpan<byte> data, out byte opcode, out ReadOnlySpan<byte> payload, out int length, bool fragments = false)
    {
        opcode = 0;
        payload = default;
        length = 0;
        if (data.Length < 2)
            return false;
        if ((data[0] & (fragments ? 0x70 : 0xf0)) != (fragments ? 0 : 0x80) || (data[1] & 0x80) != 0)
            throw new NotProvenException($"A fragmented, extended or masked frame from the server: 0x{data[0]:x2}{data[1]:x2}.");
        int size = data[1], header = 2;
        if (size == 126)
        {
            if (data.Length < 4)
                return false;
            (size, header) = (BinaryPrimitives.ReadUInt16BigEndian(data[2..]), 4);
        }
        else if (size == 127)
        {
            throw new NotProvenException("A frame of 64 KiB or more from the server.");
        }

        if (data.Length < header + size)
            return false;
        opcode = (byte)(data[0] & 0x0f);
        payload = data.Slice(header, size);
        length = header + size;
        return true;
    }

    /// <summary>Writes one masked frame; returns its length, at most <see cref="LongHeader"/> more than the payload's.</summary>
    public static int Write(Span<byte> target, byte opcode, ReadOnlySpan<byte> payload)
    {
        target[0] = (byte)(0x80 | opcode);
        int header;
        if (payload.Length < 126)
        {
            target[1] = (byte)(0x80 | payload.Length);
            header = 2;
        }
        else
        {
            target[1] = 0x80 | 126;
            BinaryPrimitives.WriteUInt16BigEndian(target[2..], (ushort)payload.Length);
            header = 4;
        }

        Mask.CopyTo(target[header..]);
        header += Mask.Length;
        for (var i = 0; i < payload.Length; i++)
            target[header + i] = (byte)(payload[i] ^ Mask[i & 3]);
        return header + payload.Length;
    }

    /// <summary>
    /// Overwrites a number in a masked payload, at <paramref name="offset"/> of it, with as many digits as it has room for.
    /// </summary>
    public static void WriteDigits(Span<byte> payload, int offset, int digits, long value)
    {
        for (var i = offset + digits - 1; i >= offset; i--)
        {
            payload[i] = (byte)(('0' + (value % 10)) ^ Mask[i & 3]);
            value /= 10;
        }
    }

    /// <summary>The first letter of the frame's type, which tells the server's types apart; 0 if it has none.</summary>
    public static byte TypeOf(ReadOnlySpan<byte> payload)
    {
        var name = "\"type\":\""u8;
        var at = payload.IndexOf(name);
        return at < 0 || at + name.Length == payload.Length ? (byte)0 : payload[at + name.Length];
    }

    public static long IdOf(ReadOnlySpan<byte> payload)
    {
        var name = "\"id\":"u8;
        var at = payload.IndexOf(name);
        return at < 0 ? 0 : Number(payload[(at + name.Length)..]);
    }

    /// <summary>The text as it stands in the frame: ours has nothing to escape.</summary>
    public static ReadOnlySpan<byte> TextOf(ReadOnlySpan<byte> payload)
    {
        var name = "\"text\":\""u8;
        var at = payload.IndexOf(name);
        if (at < 0)
            return default;
        var text = payload[(at + name.Length)..];
        var end = text.IndexOf((byte)'"');
        return end < 0 ? default : text[..end];
    }

    /// <summary>The digits at the front, as a number.</summary>
    public static long Number(ReadOnlySpan<byte> digits)
    {
        long value = 0;
        foreach (var digit in digits)
        {
            if (digit is < (byte)'0' or > (byte)'9')
                break;
            value = (value * 10) + (digit - '0');
        }

        return value;
    }
}
