namespace SimpleChat.Benchmarks;

/// <summary>What a measurement must also prove, or it counts for nothing: the run ends with exit code 1 and this message.</summary>
internal sealed class NotProvenException(string message) : Exception(message);

/// <summary>Collects, from whichever thread, the first thing that went wrong; the measuring thread looks at it.</summary>
internal sealed class Verdict
{
    private string? _fault;

    public void Fail(string fault) => Interlocked.CompareExchange(ref _fault, fault, null);

    /// <exception cref="NotProvenException">Something went wrong.</exception>
    public void Check()
    {
        if (Volatile.Read(ref _fault) is { } fault)
            throw new NotProvenException(fault);
    }

    /// <summary>Waits for <paramref name="condition"/>, looking at the faults meanwhile.</summary>
    /// <exception cref="NotProvenException">A fault, or <paramref name="complaint"/> if it isn't true within
    /// <paramref name="limit"/>.</exception>
    public void WaitFor(Func<bool> condition, TimeSpan limit, Func<string> complaint)
    {
        var start = Stopwatch.GetTimestamp();
        while (!condition())
        {
            Check();
            if (Stopwatch.GetElapsedTime(start) > limit)
                throw new NotProvenException($"After {limit.TotalSeconds:0.#} s: {complaint()}");
            Thread.Sleep(1);
        }

        Check();
    }
}
