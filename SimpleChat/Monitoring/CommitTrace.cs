using System.Diagnostics;

namespace SimpleChat.Monitoring;

/// <summary>
/// Writes down one commit and what rode in it, as spans of the source <see cref="Traces.SourceName"/>. A message's trace has a span for
/// each step: <c>received</c> is its wait for the writer, <c>stored</c> its transaction, <c>looked up and pushed</c> its way to the
/// recipient's connections. <c>delivered</c> joins it later. <c>stored</c> and <c>delivered</c> link to their commit.
/// </summary>
internal sealed class CommitTrace
{
    private readonly Traces _traces;
    private readonly Activity? _commit; // null if it is not sampled
    private readonly long _begun;
    private long _committed, _answered;

    /// <param name="traces">Where traces are remembered.</param>
    /// <param name="writes">How many writes ride in the commit.</param>
    public CommitTrace(Traces traces, int writes)
    {
        _traces = traces;
        _begun = traces.Now;
        _commit = Traces.Source.StartActivity("commit")?.SetTag("simplechat.commit.size", writes);
    }

    /// <summary>The commit is on disk. Its writes are answered next.</summary>
    public void Committed()
    {
        _commit?.Stop();
        _committed = _answered = _traces.Now;
    }

    /// <summary>The commit failed.</summary>
    public void Failed(Exception e) => _commit?.SetStatus(ActivityStatusCode.Error, e.Message).Stop();

    /// <summary>A message was stored and pushed. It was the first with its name: a repeat has no trace.</summary>
    /// <param name="id">Its id; 0 if none was stored.</param>
    /// <param name="received">When it was received.</param>
    public void Message(long id, long received)
    {
        var (answering, now) = (_answered, _traces.Now);
        _answered = now;
        if (id == 0)
            return;
        using var message = _traces.Start("message", ActivityKind.Server, default, received)?.SetTag("simplechat.message.id", id);
        if (message is null) // not sampled
            return;
        _traces.Remember(id, message.Context);
        Span("received", message.Context, received, _begun);
        Span("stored", message.Context, _begun, _committed, _commit);
        Span("looked up and pushed", message.Context, answering, now);
        message.SetEndTime(_traces.At(now));
    }

    /// <summary>Messages have left their recipient's inbox.</summary>
    /// <param name="ids">Their ids.</param>
    /// <param name="acknowledged">When the recipient had them.</param>
    public void Delivered(IEnumerable<long> ids, long acknowledged)
    {
        _answered = _traces.Now;
        foreach (var id in ids)
        {
            if (_traces.Of(id) is { } message)
                Span("delivered", message, acknowledged, _committed, _commit);
        }
    }

    private void Span(string name, ActivityContext message, long from, long to, Activity? commit = null)
    {
        using var span = _traces.Start(name, ActivityKind.Internal, message, from, commit);
        span?.SetEndTime(_traces.At(to));
    }
}
