using System.Buffers;
using System.IO.Pipelines;

namespace SimpleChat.Http;

/// <summary>
/// An answer's body, passed on in small pieces: one that nobody reads costs little more than what Kestrel holds for a connection.
/// </summary>
/// <param name="flush">Waits until a piece has gone out.</param>
internal sealed class Pieces(PipeWriter output, Func<ValueTask> flush)
{
    /// <summary>Bytes passed on in one go.</summary>
    private const int Size = 16 * 1024;

    private int _unflushed;

    /// <summary>Writes the bytes, and waits whenever a piece is full.</summary>
    public async ValueTask WriteAsync(ReadOnlyMemory<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            var piece = bytes[..Math.Min(bytes.Length, Size - _unflushed)];
            output.Write(piece.Span);
            _unflushed += piece.Length;
            bytes = bytes[piece.Length..];
            if (_unflushed == Size)
                await FlushAsync();
        }
    }

    /// <summary>Passes on what was written, if anything was.</summary>
    public async ValueTask FlushAsync()
    {
        if (_unflushed == 0)
            return;
        _unflushed = 0;
        await flush();
    }
}
