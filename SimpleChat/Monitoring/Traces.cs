using System.Diagnostics;

namespace SimpleChat.Monitoring;

/// <summary>
/// Traces for OpenTelemetry: one for each commit, and one for each message with its five steps (<see cref="CommitTrace"/>). While nobody
/// listens, nothing is done. Events of a commit, which its database adds, are steps of its messages. All times are timestamps of the clock.
/// </summary>
internal sealed class Traces(TimeProvider time)
{
    public const string SourceName = "SimpleChat";

    /// <summary>Where the spans come from (https://learn.microsoft.com/dotnet/core/diagnostics/distributed-tracing).</summary>
    public static readonly ActivitySource Source = new(SourceName);

    /// <summary>How many messages are remembered. What is delivered later than so many others has no such span in its trace.</summary>
    private const int Remembered = 8192;

    private Known?[]? _recent; // by id, modulo its length

    public long Now => time.GetTimestamp();

    /// <summary>Begins a commit; null while nobody listens.</summary>
    public CommitTrace? BeginCommit(int writes) => Source.HasListeners() ? new CommitTrace(this, writes) : null;

    /// <summary>Remembers the trace of a message, until its delivery or until many others came. On any thread.</summary>
    public void Remember(long id, ActivityContext trace) =>
        LazyInitializer.EnsureInitialized(ref _recent, () => new Known?[Remembered])[id % Remembered] = new Known(id, trace);

    /// <summary>The trace of a message; null if it is not remembered.</summary>
    public ActivityContext? Of(long id) => _recent?[id % Remembered] is var known && known?.Id == id ? known.Trace : null;

    /// <summary>Starts a span that began in the past; null if it is not sampled.</summary>
    public Activity? Start(string name, ActivityKind kind, ActivityContext parent, long at, Activity? link = null) =>
        Source.StartActivity(name, kind, parent, links: link is null ? null : [new ActivityLink(link.Context)], startTime: At(at));

    /// <summary>Adds a span to the trace of a message.</summary>
    /// <param name="link">A span of another trace that it was part of; null if there is none.</param>
    public void Add(string name, ActivityContext message, long from, long to, Activity? link = null)
    {
        using var span = Start(name, ActivityKind.Internal, message, from, link);
        span?.SetEndTime(At(to));
    }

    /// <summary>The time of day, for spans.</summary>
    public DateTime At(long timestamp) => (time.GetUtcNow() - time.GetElapsedTime(timestamp)).UtcDateTime;

    private sealed record Known(long Id, ActivityContext Trace);
}

/// <summary>
/// Records one commit and its messages, as spans of the source <see cref="Traces.SourceName"/>. A message's trace has a span for
/// each step: <c>received</c> is its wait for the writer, <c>stored</c> its transaction, <c>looked up and pushed</c> its way to the
/// recipient's connections. <c>delivered</c> joins it later. <c>stored</c> and <c>delivered</c> link to their commit. The writer's thread
/// alone uses this.
/// </summary>
internal sealed class CommitTrace
{
    private readonly Traces _traces;
    private readonly Activity? _commit; // null if it is not sampled
    private readonly long _begun;
    private long _committed, _answering;
    private Activity? _message; // the one that is answered now

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
        _committed = _traces.Now;
    }

    public void Failed(Exception e) => _commit?.SetStatus(ActivityStatusCode.Error, e.Message).Stop();

    /// <summary>
    /// A message was stored, and is pushed next. Until then its span is <see cref="Activity.Current"/>: whoever takes the message elsewhere
    /// takes the trace along. A repeat of a message has no trace.
    /// </summary>
    /// <param name="id">Its id; 0 if none was stored.</param>
    public void Message(long id, long received)
    {
        if (id == 0)
            return;
        _message = _traces.Start("message", ActivityKind.Server, default, received)?.SetTag("simplechat.message.id", id);
        if (_message is null) // not sampled
            return;
        _traces.Remember(id, _message.Context);
        _traces.Add("received", _message.Context, received, _begun);
        _traces.Add("stored", _message.Context, _begun, _committed, _commit);
        foreach (var step in _commit?.Events ?? []) // what the database says of it
        {
            using var span = _traces.Start(step.Name, ActivityKind.Internal, _message.Context, _begun);
            span?.SetEndTime(step.Timestamp.UtcDateTime);
        }

        _answering = _traces.Now;
    }

    /// <summary>The write was answered. If it was a message, it is pushed by now.</summary>
    public void Answered()
    {
        if (_message is null)
            return;
        var now = _traces.Now;
        _traces.Add("looked up and pushed", _message.Context, _answering, now);
        _message.SetEndTime(_traces.At(now)).Dispose();
        _message = null;
    }

    /// <summary>Messages have left their recipient's inbox.</summary>
    /// <param name="acknowledged">When the recipient had them.</param>
    public void Delivered(IEnumerable<long> ids, long acknowledged)
    {
        foreach (var id in ids)
        {
            if (_traces.Of(id) is { } message)
                _traces.Add("delivered", message, acknowledged, _committed, _commit);
        }
    }
}
