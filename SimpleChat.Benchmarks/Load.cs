namespace SimpleChat.Benchmarks;

/// <summary>Processor time used, as a share of one core: 1.0 is one core busy all the time.</summary>
internal sealed record Load(double Server, double Generator)
{
    /// <summary>Busier than this and the generator, on its one core, may be what was measured.</summary>
    public const double Limit = 0.9;

    public bool GeneratorWasTheLimit => Generator > Limit;

    /// <summary>Starts to measure; call the result when it is over.</summary>
    public static Func<Load> Measure(params ServerProcess[] servers)
    {
        var (start, serverBefore, ownBefore) = (Stopwatch.GetTimestamp(), OfServers(), Environment.CpuUsage.TotalTime);
        return () =>
        {
            var elapsed = Stopwatch.GetElapsedTime(start);
            return new Load((OfServers() - serverBefore) / elapsed, (Environment.CpuUsage.TotalTime - ownBefore) / elapsed);
        };

        TimeSpan OfServers() => servers.Aggregate(TimeSpan.Zero, (sum, server) => sum + server.ProcessorTime);
    }

    public static Load Worst(IEnumerable<Load> loads) => loads.Aggregate((one, other) =>
        new Load(Math.Max(one.Server, other.Server), Math.Max(one.Generator, other.Generator)));
}
