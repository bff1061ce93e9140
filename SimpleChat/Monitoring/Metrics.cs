using System.Diagnostics.Metrics;

namespace SimpleChat.Monitoring;

/// <summary>
/// The meter <c>SimpleChat</c>, for <c>dotnet-counters</c> and OpenTelemetry
/// (https://learn.microsoft.com/dotnet/core/diagnostics/metrics-instrumentation).
/// </summary>
internal sealed class Metrics
{
    public const string MeterName = "SimpleChat";

    private readonly Meter _meter;
    private readonly Counter<long> _stored, _pushed, _delivered, _refused;
    private readonly Histogram<int> _commitSize;
    private readonly Histogram<double> _commitDuration;

    public Metrics(IMeterFactory meters)
    {
        _meter = meters.Create(MeterName);
        _stored = _meter.CreateCounter<long>("simplechat.messages.stored", "{message}", "Messages committed to MessageDB and InboxDB.");
        _pushed = _meter.CreateCounter<long>("simplechat.messages.pushed", "{message}",
            "Messages written to a connection, repeats after a reconnect included.");
        _delivered = _meter.CreateCounter<long>("simplechat.messages.delivered", "{message}", "Messages that left the inbox.");
        _refused = _meter.CreateCounter<long>("simplechat.refused", "{refusal}",
            "Requests, frames and connections that were refused, by reason.");
        _commitSize = _meter.CreateHistogram("simplechat.commit.size", "{write}", "Writes (messages, acks, deliveries) in one commit.",
            advice: new InstrumentAdvice<int> { HistogramBucketBoundaries = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] });
        _commitDuration = _meter.CreateHistogram("simplechat.commit.duration", "s", "From BEGIN to the end of COMMIT.", advice:
            new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5] });
    }

    public void Stored() => _stored.Add(1);

    public void Pushed(int count) => _pushed.Add(count);

    public void Delivered(int count) => _delivered.Add(count);

    /// <summary>Counts a refusal.</summary>
    /// <param name="reason">The tag: a word from a fixed list, so that no caller can create a time series.</param>
    public void Refused(string reason) => _refused.Add(1, new KeyValuePair<string, object?>("reason", reason));

    public void Commit(int size, TimeSpan duration)
    {
        _commitSize.Record(size);
        _commitDuration.Record(duration.TotalSeconds);
    }

    /// <summary>Observes the number of open connections when a tool collects metrics.</summary>
    public void ObserveConnections(Func<int> count) =>
        _meter.CreateObservableUpDownCounter("simplechat.connections", count, "{connection}", "Open connections.");

    /// <summary>Observes the length of the writer's queue when a tool collects metrics.</summary>
    public void ObserveWaiting(Func<int> count) =>
        _meter.CreateObservableUpDownCounter("simplechat.writer.waiting", count, "{write}", "Writes waiting for the writer.");

    /// <summary>Observes the size of the database and of its log, and what is left on their disk, when a tool collects metrics.</summary>
    public void ObserveFiles(string path)
    {
        _meter.CreateObservableGauge("simplechat.database.size", () => Length(path), "By", "Size of the database's file.");
        _meter.CreateObservableGauge("simplechat.database.log.size", () => Length(path + "-wal"), "By", "Size of its write-ahead log.");
        _meter.CreateObservableGauge("simplechat.disk.free", () => new DriveInfo(path).AvailableFreeSpace, "By", "Left on its disk.");

        static long Length(string file) => new FileInfo(file) is { Exists: true } info ? info.Length : 0;
    }
}
