using SimpleChat.Wire;

namespace SimpleChat.Queues;

/// <summary>
/// Messages that the client sent over a connection before it had received everything earlier. They are kept as spans of ids. Every message
/// of the user within a span was sent over this connection. Its owner locks.
/// </summary>
internal sealed class OwnMessages
{
    /// <summary>The most spans. Messages of spans that are forgotten come back, and a client drops them by their ids.</summary>
    private const int Capacity = 256;

    private readonly List<IdRange> _spans = [];
    private bool _isOpen; // the last span may grow

    public long Last => _spans[^1].Last;

    /// <summary>Adds an id, higher than all before.</summary>
    public void Add(long id)
    {
        if (_isOpen)
        {
            _spans[^1] = _spans[^1] with { Last = id };
            return;
        }

        if (_spans.Count == Capacity)
            _spans.RemoveAt(0);
        _spans.Add(new IdRange(id, id));
        _isOpen = true;
    }

    /// <summary>Ends the last span, because what the user sends next from elsewhere must not fall into it.</summary>
    public void EndSpan() => _isOpen = false;

    /// <summary>Whether the user's message with this id was sent over the connection.</summary>
    public bool Contain(long id) => _spans.Exists(span => span.First <= id && id <= span.Last);

    /// <summary>Whether any are above the position. Spans at or below it are forgotten.</summary>
    public bool AreAbove(long position)
    {
        _spans.RemoveAll(span => span.Last <= position);
        return _spans.Count > 0;
    }
}
