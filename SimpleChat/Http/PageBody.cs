using System.Buffers;
using System.Text;
using SimpleChat.Limits;
using SimpleChat.Wire;

namespace SimpleChat.Http;

/// <summary>
/// A page as an answer, <c>{"messages":[…],"hasMore":true}</c>. Its rows are serialised one by one as they come out of the database, until
/// the client's page is full: nothing is read or kept that is not sent. It goes out in small pieces, so that an answer that nobody reads
/// costs little more than its page.
/// </summary>
internal sealed class PageBody : IResult
{
    /// <summary>A body has at most so many bytes, or one row.</summary>
    public const int MaxBytes = 1024 * 1024;

    /// <summary>Of these, what stands around the rows: the names and the brackets.</summary>
    private const int Frame = 64;

    /// <summary>Bytes passed on in one go: little beside what Kestrel holds for a connection.</summary>
    private const int Piece = 16 * 1024;

    private readonly List<(int Start, int Length)> _rows = [];
    private readonly string _name;
    private byte[] _bytes = ArrayPool<byte>.Shared.Rent(Piece); // goes back when the answer is written, or was dropped
    private int _length;
    private bool? _hasMore;

    private UserShare? _share; // given back with the bytes

    private PageBody(string name, UserShare share) => (_name, _share) = (name, share);

    /// <summary>Whether it has no row.</summary>
    public bool IsEmpty => _rows.Count == 0;

    /// <summary>Takes a page out of these rows, when the user has not too many in hand.</summary>
    /// <param name="name">What they are called in the body.</param>
    /// <param name="rows">The rows. They are read no further than the page goes, and one row more.</param>
    /// <param name="limit">Rows at most.</param>
    /// <param name="serialise">Writes one of them as JSON.</param>
    /// <param name="share">The user's, who is charged for the page.</param>
    /// <param name="cancel">The caller has left.</param>
    /// <param name="reversed">Whether the last row comes first in the body.</param>
    /// <param name="saysMore">Whether the body has <c>hasMore</c>.</param>
    public static async Task<PageBody> OfAsync<T>(
        string name, IEnumerable<T> rows, int limit, Func<FrameWriter, T, ReadOnlyMemory<byte>> serialise, UserShare share,
        CancellationToken cancel,
        bool reversed = false, bool saysMore = true)
    {
        await share.TakePageAsync(cancel);
        var page = new PageBody(name, share);
        var frames = FrameWriter.Pool.Get();
        try
        {
            var hasMore = false;
            foreach (var row in rows)
            {
                hasMore = page._rows.Count == limit || !page.TryAdd(serialise(frames, row).Span);
                if (hasMore)
                    break;
            }

            if (saysMore)
                page._hasMore = hasMore;
            if (reversed)
                page._rows.Reverse();
            return page;
        }
        catch
        {
            page.Drop();
            throw;
        }
        finally
        {
            FrameWriter.Pool.Return(frames);
            share.Charge(Work.Read(page._rows.Count, page._length));
        }
    }

    /// <summary>Lets go of a page that is not sent.</summary>
    public void Drop()
    {
        if (_share is null)
            return;
        ArrayPool<byte>.Shared.Return(_bytes);
        _share.ReturnPage();
        (_bytes, _share) = ([], null);
    }

    public async Task ExecuteAsync(HttpContext httpContext)
    {
        var response = httpContext.Response;
        var unsent = 0;
        var start = Encoding.UTF8.GetBytes($$"""{"{{_name}}":[""");
        var end = _hasMore switch
        {
            null => "]}"u8.ToArray(),
            true => """],"hasMore":true}"""u8.ToArray(),
            false => """],"hasMore":false}"""u8.ToArray(),
        };
        response.ContentType = "application/json; charset=utf-8";
        response.ContentLength = start.Length + _length + Math.Max(_rows.Count - 1, 0) + end.Length;
        try
        {
            await SendAsync(start);
            for (var i = 0; i < _rows.Count; i++)
            {
                if (i > 0)
                    await SendAsync(Comma);
                await SendAsync(_bytes.AsMemory(_rows[i].Start, _rows[i].Length));
            }

            await SendAsync(end);
            await response.BodyWriter.FlushAsync(httpContext.RequestAborted);
        }
        finally
        {
            Drop();
        }

        async ValueTask SendAsync(ReadOnlyMemory<byte> bytes)
        {
            while (bytes.Length > 0)
            {
                var piece = bytes[..Math.Min(bytes.Length, Piece - unsent)];
                response.BodyWriter.Write(piece.Span);
                bytes = bytes[piece.Length..];
                unsent += piece.Length;
                if (unsent < Piece)
                    continue;
                await response.BodyWriter.FlushAsync(httpContext.RequestAborted);
                unsent = 0;
            }
        }
    }

    private static readonly byte[] Comma = ","u8.ToArray();

    /// <summary>Adds a row, if the page has room for it.</summary>
    private bool TryAdd(ReadOnlySpan<byte> row)
    {
        var length = _length + row.Length;
        if (_rows.Count > 0 && Frame + length + _rows.Count > MaxBytes) // a comma after each of the others
            return false;
        if (length > _bytes.Length)
        {
            var larger = ArrayPool<byte>.Shared.Rent(Math.Max(length, 2 * _bytes.Length));
            _bytes.AsSpan(0, _length).CopyTo(larger);
            ArrayPool<byte>.Shared.Return(_bytes);
            _bytes = larger;
        }

        row.CopyTo(_bytes.AsSpan(_length));
        _rows.Add((_length, row.Length));
        _length = length;
        return true;
    }
}

/// <summary>One message as an answer.</summary>
/// <param name="message">The message.</param>
/// <param name="status">201 for a new one, 200 for one that was there.</param>
internal sealed class MessageResult(Message message, int status) : IResult
{
    public async Task ExecuteAsync(HttpContext httpContext)
    {
        var frames = FrameWriter.Pool.Get();
        var body = frames.Body(message);
        httpContext.Response.StatusCode = status;
        httpContext.Response.ContentType = "application/json; charset=utf-8";
        httpContext.Response.ContentLength = body.Length;
        httpContext.Response.BodyWriter.Write(body.Span);
        FrameWriter.Pool.Return(frames);
        await httpContext.Response.BodyWriter.FlushAsync(httpContext.RequestAborted);
    }
}
