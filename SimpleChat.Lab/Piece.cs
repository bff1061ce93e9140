using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace SimpleChat.Lab;

/// <summary>Something that goes over a line as a whole.</summary>
/// <param name="Bytes">All of it, as it is on the wire.</param>
internal abstract record Piece(byte[] Bytes);

/// <summary>The head of an HTTP request or answer, up to and including its empty line (RFC 9112, section 2.1).</summary>
internal sealed record Head(byte[] Bytes) : Piece(Bytes)
{
    /// <summary>All of it.</summary>
    public string Text { get; } = Encoding.Latin1.GetString(Bytes);

    /// <summary>The words of its first line, three at most.</summary>
    public string[] Start => Text[..Text.IndexOf("\r\n", StringComparison.Ordinal)].Split(' ', 3);

    /// <summary>An answer's status; 0 if this is none.</summary>
    public int Status => Start is [_, var status, ..] && int.TryParse(status, CultureInfo.InvariantCulture, out var number) ? number : 0;

    /// <summary>Whether it asks for a WebSocket.</summary>
    public bool IsUpgrade => string.Equals(this["Upgrade"], "websocket", StringComparison.OrdinalIgnoreCase);

    /// <summary>A header's first value; null if there is none.</summary>
    public string? this[string name]
    {
        get
        {
            foreach (var line in Text.Split("\r\n").Skip(1))
            {
                if (line.StartsWith(name + ":", StringComparison.OrdinalIgnoreCase))
                    return line[(name.Length + 1)..].Trim();
            }

            return null;
        }
    }
}

/// <summary>Some of a body.</summary>
/// <param name="Bytes">What is on the wire, the sizes of chunks included.</param>
/// <param name="Content">What is in it.</param>
internal sealed record Body(byte[] Bytes, ReadOnlyMemory<byte> Content) : Piece(Bytes);

/// <summary>A WebSocket frame (RFC 6455, section 5.2).</summary>
/// <param name="Bytes">All of it, or its beginning if it is too long to be kept.</param>
/// <param name="HeaderLength">How long its header is, the mask included.</param>
/// <param name="PayloadLength">How long its payload is, as the header says.</param>
internal sealed record WebSocketFrame(byte[] Bytes, int HeaderLength, ulong PayloadLength) : Piece(Bytes)
{
    /// <summary>The opcodes.</summary>
    public const int Continuation = 0, Text = 1, Binary = 2, Close = 8, Ping = 9, Pong = 10;

    /// <summary>Whether it is the last of its message.</summary>
    public bool Fin => (Bytes[0] & 0x80) != 0;

    /// <summary>What it is.</summary>
    public int Opcode => Bytes[0] & 0x0F;

    /// <summary>Whether it only shows that somebody is there.</summary>
    public bool IsHeartbeat => Opcode is Ping or Pong;

    /// <summary>The payload, without the mask.</summary>
    public byte[] Payload()
    {
        var payload = Bytes[HeaderLength..];
        if ((Bytes[1] & 0x80) == 0)
            return payload;
        for (var i = 0; i < payload.Length; i++)
            payload[i] ^= Bytes[HeaderLength - 4 + i % 4];
        return payload;
    }

    /// <summary>A frame as a client sends it.</summary>
    /// <param name="first">FIN, RSV and the opcode.</param>
    /// <param name="payload">What is in it.</param>
    /// <param name="claim">The length that its header claims; the payload's own if left out.</param>
    public static WebSocketFrame FromClient(byte first, ReadOnlySpan<byte> payload, ulong? claim = null)
    {
        var length = claim ?? (ulong)payload.Length;
        var bytes = new byte[14 + payload.Length];
        bytes[0] = first;
        bytes[1] = 0x80 | 127; // the longest form of a length is allowed by every parser, if not by the letter of the RFC
        var header = 14;
        if (length <= 125)
        {
            bytes[1] = (byte)(0x80 | length);
            header = 6;
        }
        else
        {
            BinaryPrimitives.WriteUInt64BigEndian(bytes.AsSpan(2), length);
        }

        ReadOnlySpan<byte> mask = [0x4c, 0x61, 0x62, 0x21];
        mask.CopyTo(bytes.AsSpan(header - 4));
        for (var i = 0; i < payload.Length; i++)
            bytes[header + i] = (byte)(payload[i] ^ mask[i % 4]);
        return new WebSocketFrame(bytes[..(header + payload.Length)], header, length);
    }
}

/// <summary>Bytes that are passed on without a look into them.</summary>
internal sealed record Unread(byte[] Bytes) : Piece(Bytes);
