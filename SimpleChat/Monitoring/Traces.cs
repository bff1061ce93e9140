using System.Diagnostics;

namespace SimpleChat.Monitoring;

/// <summary>
/// Traces for OpenTelemetry: one for each commit, and one for each message with its five steps (<see cref="CommitTrace"/>). While nobody
/// listens, nothing is done. The writer's thread alone uses this. All times are timestamps of the clock.
/// </summary>
/// <param name="time">The clock.</param>
internal sealed class Traces(TimeProvider time)
{
    /// <summary>The source's name.</summary>
    public const string SourceName = "SimpleChat";

    /// <summary>Where the spans come from (https://learn.microsoft.com/dotnet/core/diagnostics/distributed-tracing).</summary>
    public static readonly ActivitySource Source = new(SourceName);

    /// <summary>How many messages are remembered. What is delivered later than so many others has no such span in its trace.</summary>
    private const int Remembered = 8192;

    private (long Id, ActivityContext Trace)[] _recent = []; // by id, modulo its length

    /// <summary>The time.</summary>
    public long Now => time.GetTimestamp();

    /// <summary>Begins a commit; null while nobody listens.</summary>
    /// <param name="writes">How many writes ride in it.</param>
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
