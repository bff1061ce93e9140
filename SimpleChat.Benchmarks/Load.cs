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
        var before = Usage.Now(servers);
        return () => Between(before, Usage.Now(servers));
    }

    public static Load Between(Usage before, Usage after)
    {
        var elapsed = after.At - before.At;
        return new Load((after.Servers - before.Servers) / elapsed, (after.Generator - before.Generator) / elapsed);
    }

    public static Load Worst(IEnumerable<Load> loads) => loads.Aggregate((one, other) =>
        new Load(Math.Max(one.Server, other.Server), Math.Max(one.Generator, other.Generator)));
}

/// <summary>Processor time used so far.</summary>
/// <param name="At">When.</param>
/// <param name="Servers">By the servers.</param>
/// <param name="Generator">By this program.</param>
internal sealed record Usage(TimeSpan At, TimeSpan Servers, TimeSpan Generator)
{
    public static Usage Now(params ServerProcess[] servers) => new(
        Stopwatch.GetElapsedTime(0), servers.Aggregate(TimeSpan.Zero, (sum, server) => sum + server.ProcessorTime),
        Environment.CpuUsage.TotalTime);
}
