using System.Diagnostics;

namespace SimpleChat.Monitoring;

/// <summary>
/// Traces for OpenTelemetry: one for each commit, and one for each message with its five steps (<see cref="CommitTrace"/>). While nobody
/// listens, nothing is done. The writer's thread alone uses this. All times are timestamps of the clock.
/// </summary>
internal sealed class Traces(TimeProvider time)
{
    public const string SourceName = "SimpleChat";

    /// <summary>Where the spans come from (https://learn.microsoft.com/dotnet/core/diagnostics/distributed-tracing).</summary>
    public static readonly ActivitySource Source = new(SourceName);

    /// <summary>How many messages are remembered. What is delivered later than so many others has no such span in its trace.</summary>
    private const int Remembered = 8192;

    private (long Id, ActivityContext Trace)[] _recent = []; // by id, modulo its length

    public long Now => time.GetTimestamp();

    /// <summary>Begins a commit; null while nobody listens.</summary>
    public CommitTrace? BeginCommit(int writes) => Source.HasListeners() ? new CommitTrace(this, writes) : null;

    /// <summary>Remembers the trace of a message, until its delivery or until many others came.</summary>
    public void Remember(long id, ActivityContext trace)
    {
        if (_recent.Length == 0)
            _recent = new (long, ActivityContext)[Remembered];
        _recent[id % Remembered] = (id, trace);
    }

    /// <summary>The trace of a message; null if it is not remembered.</summary>
    public ActivityContext? Of(long id) =>
        _recent.Length > 0 && _recent[id % Remembered] is var (known, trace) && known == id ? trace : null;

    /// <summary>Starts a span at a time that is over; null if it is not sampled.</summary>
    public Activity? Start(string name, ActivityKind kind, ActivityContext parent, long at, Activity? link = null) =>
        Source.StartActivity(name, kind, parent, links: link is null ? null : [new ActivityLink(link.Context)], startTime: At(at));

    /// <summary>The time of day, for spans.</summary>
    public DateTime At(long timestamp) => (time.GetUtcNow() - time.GetElapsedTime(timestamp)).UtcDateTime;
}

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
