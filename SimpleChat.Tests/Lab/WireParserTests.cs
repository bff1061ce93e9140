using System.Text;
using SimpleChat.Lab;

namespace SimpleChat.Tests.Lab;

/// <summary>The cable reads everything and changes nothing.</summary>
public sealed class WireParserTests
{
    private static readonly byte[] Answers =
    [
        .. "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"u8,
        .. "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nTrailer: 1\r\n\r\n"u8,
        .. "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"u8,
        0x81, 2, (byte)'{', (byte)'}', 0x01, 1, (byte)'a', 0x80, 0x7E, 0, 1, (byte)'b', 0x8A, 0,
    ];

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(7)]
    [InlineData(1000)]
    public void What_comes_in_pieces_of_any_size_is_read_and_goes_on_as_it_was(int size)
    {
        var parser = new WireParser();
        var (passed, content, frames, heads) = (new List<byte>(), new StringBuilder(), new List<int>(), 0);
        foreach (var bytes in Answers.Chunk(size))
        {
            bytes.CopyTo(parser.Room());
            parser.Received(bytes.Length);
            while (parser.Next() is { } piece)
            {
                passed.AddRange(piece.Bytes);
                if (piece is Head { Status: 101 })
                    parser.ExpectFrames();
                else if (piece is Head head)
                    parser.ExpectBody(head, untilEnd: true);
                heads += piece is Head ? 1 : 0;
                if (piece is SimpleChat.Lab.Body body)
                    content.Append(Encoding.ASCII.GetString(body.Content.Span));
                if (piece is WebSocketFrame frame)
                    frames.Add(frame.Opcode);
            }
        }

        Assert.Null(parser.Rest());
        Assert.Equal(Answers, passed);
        Assert.Equal("hellohello!", content.ToString());
        Assert.Equal([1, 1, 0, 10], frames);
        Assert.Equal(3, heads);
    }

    [Fact]
    public void A_frame_that_claims_more_than_anybody_keeps_goes_on_at_once_and_so_does_whatever_follows()
    {
        var parser = new WireParser();
        parser.ExpectFrames();
        byte[] bytes = [0x81, 0xFF, 0, 0, 1, 0, 0, 0, 0, 0, 1, 2, 3, 4, (byte)'x'];
        bytes.CopyTo(parser.Room());
        parser.Received(bytes.Length);
        var frame = Assert.IsType<WebSocketFrame>(parser.Next());
        Assert.Equal(1UL << 40, frame.PayloadLength);
        Assert.Equal(bytes, frame.Bytes);
        bytes.CopyTo(parser.Room());
        parser.Received(bytes.Length);
        Assert.Equal(bytes, Assert.IsType<Unread>(parser.Next()).Bytes);
    }
}
