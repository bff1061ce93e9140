namespace SimpleChat.Tests.Batteries;

/// <summary>Of some times, in milliseconds: the median, the slowest but for one in a hundred, and the slowest.</summary>
internal readonly record struct Latency(double P50, double P99, double Max)
{
    /// <summary>Of at least one time.</summary>
    public static Latency Of(IEnumerable<double> times)
    {
        double[] sorted = [.. times.Order()];
        return new Latency(sorted[sorted.Length / 2], sorted[sorted.Length * 99 / 100], sorted[^1]);
    }

    public override string ToString() => $"p50 {P50:F2} p99 {P99:F2} ms";
}
