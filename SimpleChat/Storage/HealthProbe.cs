namespace SimpleChat.Storage;

/// <summary>
/// Whether a message can be stored and read. A probe costs a commit, and strangers may ask: there is one a second at most, and its answer
/// is everybody's.
/// </summary>
internal sealed class HealthProbe(Writer writer, MessageReader reader, TimeProvider time)
{
    /// <summary>From the start of one probe to the next one's.</summary>
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private readonly Lock _gate = new();
    private Task<string?> _latest = Task.FromResult<string?>(null); // under _gate
    private long? _startedAt;

    /// <summary>
    /// What is wrong with storage, in words; null if nothing is. What the writer knows already needs no probe. Otherwise joins the one that
    /// is under way, or takes the answer of the last second's.
    /// </summary>
    public Task<string?> FaultAsync()
    {
        if (writer.Fault is { } fault)
            return Task.FromResult<string?>(fault);
        lock (_gate)
        {
            if (_latest.IsCompleted && !(_startedAt is { } start && time.GetElapsedTime(start) < Interval))
            {
                _startedAt = time.GetTimestamp();
                _latest = ProbeAsync();
            }

            return _latest;
        }
    }

    private async Task<string?> ProbeAsync()
    {
        var probe = new Probe();
        await writer.EnqueueAsync(probe);
        if (!await probe.Written)
            return writer.Fault ?? "the disk does not answer in time.";
        try
        {
            reader.Probe();
            return null;
        }
        catch (Exception e) when (StorageFault.Is(e))
        {
            return StorageFault.Explain(e);
        }
    }

    /// <summary>Goes the way of a message, to the disk and back, and leaves nothing there.</summary>
    private sealed class Probe : AwaitedWrite
    {
        public override void Store(Transaction db) => db.Touch();
    }
}
