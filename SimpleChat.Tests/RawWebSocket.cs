using System.Buffers.Binary;
using System.Text;

namespace SimpleChat.Tests;

/// <summary>Opcodes of RFC 6455, section 5.2.</summary>
internal static class Opcode
{
    public const int Continuation = 0;
    public const int Text = 1;
    public const int Binary = 2;
    public const int Close = 8;
    public const int Ping = 9;
    public const int Pong = 10;
}

/// <summary>A frame as it came.</summary>
internal sealed record RawFrame(bool Fin, int Rsv, int Opcode, byte[] Payload)
{
    public string Text => Encoding.UTF8.GetString(Payload);

    /// <summary>A close frame's code; null if it has none.</summary>
    public int? CloseCode => Payload.Length < 2 ? null : BinaryPrimitives.ReadUInt16BigEndian(Payload);
}

/// <summary>A WebSocket whose frames are put together byte by byte, so that they can be wrong.</summary>
internal sealed class RawWebSocket : IDisposable
{
    private readonly RawHttp _connection;

    private RawWebSocket(RawHttp connection)
    {
        _connection = connection;
    }

    /// <summary>Opens it and takes the <c>connected</c> frame.</summary>
    public static async Task<RawWebSocket> ConnectAsync(Uri url, string user, string? protocol = null, int? receiveBuffer = null)
    {
        var connection = await RawHttp.ConnectAsync(url, receiveBuffer);
        var socket = new RawWebSocket(connection);
        var handshake =
            new Handshake { Target = $"/chat?user={Uri.EscapeDataString(user)}", Protocols = protocol is null ? [] : [protocol] };
        var response = await connection.AskAsync(handshake.For(url));
        Assert.Equal(101, response.Status);
        Assert.Equal("connected", (await socket.ReadJsonAsync()).Type);
        return socket;
    }

    public Task TextAsync(string text) => FrameAsync(Opcode.Text, Encoding.UTF8.GetBytes(text));

    public Task FrameAsync(int opcode, byte[] payload, bool fin = true, int rsv = 0, bool mask = true, ulong? claim = null) =>
        BytesAsync(Build(opcode, payload, fin, rsv, mask, claim));

    public async Task CloseAsync(int code)
    {
        var payload = new byte[2];
        BinaryPrimitives.WriteUInt16BigEndian(payload, (ushort)code);
        await FrameAsync(Opcode.Close, payload);
    }

    public Task BytesAsync(byte[] bytes) => _connection.Stream.WriteAsync(bytes).AsTask().OrFail("room to write in");

    /// <returns>false once the connection is over.</returns>
    public async Task<bool> TryBytesAsync(byte[] bytes)
    {
        try
        {
            await BytesAsync(bytes);
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }

    /// <summary>A frame for the wire, masked with a key that is not all zeros.</summary>
    /// <param name="opcode">Its four bits.</param>
    /// <param name="payload">What follows the header, whatever <paramref name="claim"/> says.</param>
    /// <param name="fin">The last of its message.</param>
    /// <param name="rsv">RSV1 to RSV3, three bits.</param>
    /// <param name="mask">Whether it is masked, as a client's frames must be.</param>
    /// <param name="claim">The length in its header; the payload's if left out.</param>
    public static byte[] Build(int opcode, byte[] payload, bool fin = true, int rsv = 0, bool mask = true, ulong? claim = null)
    {
        var frame = new MemoryStream();
        frame.WriteByte((byte)((fin ? 0x80 : 0) | (rsv << 4) | opcode));
        var length = claim ?? (ulong)payload.Length;
        var maskBit = mask ? 0x80 : 0;
        Span<byte> extended = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64BigEndian(extended, length);
        if (length <= 125)
        {
            frame.WriteByte((byte)(maskBit | (int)length));
        }
        else if (length <= ushort.MaxValue)
        {
            frame.WriteByte((byte)(maskBit | 126));
            frame.Write(extended[6..]);
        }
        else
        {
            frame.WriteByte((byte)(maskBit | 127));
            frame.Write(extended);
        }

        ReadOnlySpan<byte> key = mask ? [0x37, 0xfa, 0x21, 0x3d] : [0, 0, 0, 0];
        if (mask)
            frame.Write(key);
        for (var i = 0; i < payload.Length; i++)
            frame.WriteByte((byte)(payload[i] ^ key[i % 4]));
        return frame.ToArray();
    }

    /// <summary>The next frame; null when the connection is over.</summary>
    public Task<RawFrame?> ReadAsync() => ReadFrameAsync().OrFail("another frame");

    /// <summary>The next frame, which must be a whole text message, as JSON.</summary>
    public async Task<Frame> ReadJsonAsync()
    {
        var frame = await ReadAsync();
        Assert.NotNull(frame);
        Assert.Equal((true, 0, Opcode.Text), (frame.Fin, frame.Rsv, frame.Opcode));
        return Frame.Parse(frame.Text);
    }

    /// <summary>Takes whatever comes up to the close frame.</summary>
    /// <returns>The frame, or null if the connection ended without one.</returns>
    public async Task<RawFrame?> ReadUntilCloseAsync()
    {
        while (true)
        {
            var frame = await ReadAsync();
            if (frame is null or { Opcode: Opcode.Close })
                return frame;
        }
    }

    /// <summary>Takes whatever comes, and answers none of it, until the connection is over.</summary>
    public async Task ReadToTheEndAsync()
    {
        while (await ReadAsync() is not null)
        {
        }
    }

    /// <summary>The server closes with this code, is answered, and closes the connection.</summary>
    /// <param name="code">The close code.</param>
    /// <param name="unfinished">The rest of the frame that was being sent: an answer within it would be a part of it.</param>
    public async Task AssertClosedAsync(int code, byte[]? unfinished = null)
    {
        var frame = await ReadUntilCloseAsync();
        Assert.NotNull(frame);
        Assert.Equal(code, frame.CloseCode);
        try
        {
            await BytesAsync([.. unfinished ?? [], .. Build(Opcode.Close, frame.Payload)]);
        }
        catch (IOException) // it was the answer to ours, and the connection is over already
        {
        }

        await AssertOverAsync();
    }

    /// <summary>Nothing follows: the server closed the connection itself.</summary>
    public async Task AssertOverAsync() => Assert.Null(await ReadAsync());

    /// <summary>Cuts it with a reset.</summary>
    public void Reset() => _connection.Reset();

    public void Dispose() => _connection.Dispose();

    private async Task<RawFrame?> ReadFrameAsync()
    {
        try
        {
            var header = new byte[8];
            if (await _connection.Stream.ReadAtLeastAsync(header.AsMemory(0, 2), 2, throwOnEndOfStream: false) < 2)
                return null;
            var (first, second) = (header[0], header[1]);
            Assert.True((second & 0x80) == 0, "A server never masks its frames.");
            var length = (ulong)(second & 0x7f);
            if (length == 126)
            {
                await _connection.Stream.ReadExactlyAsync(header.AsMemory(0, 2));
                length = BinaryPrimitives.ReadUInt16BigEndian(header);
            }
            else if (length == 127)
            {
                await _connection.Stream.ReadExactlyAsync(header);
                length = BinaryPrimitives.ReadUInt64BigEndian(header);
            }

            var payload = new byte[length];
            await _connection.Stream.ReadExactlyAsync(payload);
            return new RawFrame((first & 0x80) != 0, (first >> 4) & 7, first & 15, payload);
        }
        catch (IOException) // a reset, or an end within a frame
        {
            return null;
        }
    }
}
