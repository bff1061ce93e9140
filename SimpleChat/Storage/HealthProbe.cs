namespace SimpleChat.Storage;

/// <summary>
/// Tells whether a message can be stored and read. A probe costs a commit, and strangers may ask. So there is at most one probe a second,
/// and everybody who asks gets its answer.
/// </summary>
internal sealed class HealthProbe(Writer writer, IMessageReader reader, TimeProvider time)
{
    /// <summary>The least time between the starts of two probes.</summary>
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private readonly Lock _gate = new();
    private Task<string?> _latest = Task.FromResult<string?>(null); // under _gate
    private long? _startedAt;

    /// <summary>
    /// Says in words what is wrong with storage; null if nothing is. If the writer knows a fault already, no probe is made. Otherwise the
    /// caller shares the probe that is running, or gets the answer of the last second's.
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
        if (!await writer.WriteAsync(db => db.Touch())) // goes through the queue to the disk like a message, and changes nothing there
            return writer.Fault ?? "the disk does not answer in time.";
        try
        {
            await reader.ProbeAsync();
            return null;
        }
        catch (Exception e) when (StorageFault.Is(e))
        {
            return StorageFault.Explain(e);
        }
    }
}
