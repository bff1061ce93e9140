namespace SimpleChat.Benchmarks;

/// <summary>
/// Times from intended send to arrival: a count for each microsecond up to <see cref="Longest"/>; longer ones count as it.
/// </summary>
internal sealed class Latencies
{
    /// <summary>Two seconds: far beyond any figure worth telling apart.</summary>
    private const int Longest = 2_000_000;

    private readonly int[] _counts = new int[Longest + 1];
    private long _from = long.MaxValue;

    public long Count { get; private set; }

    /// <summary>Messages meant to be sent before <paramref name="micros"/> are warm-up and don't count.</summary>
    public void CountFrom(long micros) => Volatile.Write(ref _from, micros);

    public void Add(long intended, long arrived)
    {
        if (intended >= Volatile.Read(ref _from))
            Interlocked.Increment(ref _counts[Math.Clamp(arrived - intended, 0, Longest)]);
    }

    /// <summary>Milliseconds that a <paramref name="share"/> of all stay at or below.</summary>
    public double Percentile(double share)
    {
        Count = _counts.Sum(count => (long)count);
        var rank = (long)Math.Ceiling(Count * share);
        for (var micros = 0; micros <= Longest; micros++)
        {
            rank -= _counts[micros];
            if (rank <= 0)
                return micros / 1000.0;
        }

        return 0;
    }
}
