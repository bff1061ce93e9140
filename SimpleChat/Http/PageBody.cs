using System.Buffers;
using System.Text;
using SimpleChat.Limits;
using SimpleChat.Wire;

namespace SimpleChat.Http;

/// <summary>
/// An answer with a page, <c>{"messages":[…],"hasMore":true}</c>. Its rows are serialised one by one as they are read, until the page is
/// full. So nothing is read or kept that is not sent. The body is sent in small pieces. So an answer that nobody reads costs little more
/// memory than its page.
/// </summary>
internal sealed class PageBody : IResult
{
    /// <summary>The most bytes in a body, unless it has one row alone.</summary>
    public const int MaxBytes = 1024 * 1024;

    /// <summary>How many of these bytes are kept for the names and brackets around the rows.</summary>
    private const int Frame = 64;

    /// <summary>The first buffer for the rows; it grows with them.</summary>
    private const int FirstBuffer = 16 * 1024;

    private readonly List<(int Start, int Length)> _rows = [];
    private readonly string _name;
    private byte[] _bytes = ArrayPool<byte>.Shared.Rent(FirstBuffer); // goes back when the answer is written, or was dropped
    private int _length;
    private bool? _hasMore;

    private UserShare? _share; // its page is returned with the bytes

    private PageBody(string name, UserShare share) => (_name, _share) = (name, share);

    public bool IsEmpty => _rows.Count == 0;

    /// <summary>
    /// Takes a page from these rows, which are read up to the page's end and one row further. Waits first while the user has too many pages
    /// in memory. The user is charged for the page.
    /// </summary>
    public static async Task<PageBody> OfAsync<T>(
        string name, IAsyncEnumerable<T> rows, int limit, Func<FrameWriter, T, ReadOnlyMemory<byte>> serialise, UserShare share,
        CancellationToken cancel,
        bool reversed = false, bool saysMore = true)
    {
        await share.TakePageAsync(cancel);
        var page = new PageBody(name, share);
        var frames = FrameWriter.Pool.Get();
        try
        {
            var hasMore = false;
            await foreach (var row in rows)
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

    /// <summary>Drops a page that is not sent, and returns its memory.</summary>
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
        var pieces = new Pieces(response.BodyWriter, async () => await response.BodyWriter.FlushAsync(httpContext.RequestAborted));
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
            await pieces.WriteAsync(start);
            for (var i = 0; i < _rows.Count; i++)
            {
                if (i > 0)
                    await pieces.WriteAsync(Comma);
                await pieces.WriteAsync(_bytes.AsMemory(_rows[i].Start, _rows[i].Length));
            }

            await pieces.WriteAsync(end);
            await pieces.FlushAsync();
        }
        finally
        {
            Drop();
        }
    }

    private static readonly byte[] Comma = ","u8.ToArray();

    /// <summary>Adds a row, if the page has room for it.</summary>
    private bool TryAdd(ReadOnlySpan<byte> row)
    {
        var length = _length + row.Length;
        if (_rows.Count > 0 && Frame + length + _rows.Count > MaxBytes) // with a comma between the rows
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
