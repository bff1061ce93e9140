namespace SimpleChat.Tests;

/// <summary>Every wait in a test is for a fact, and for this long at most: far longer than any of them needs.</summary>
internal static class Deadline
{
    /// <summary><c>DEADLINE</c> seconds, if the environment says so, for a machine that has other things to do.</summary>
    public static readonly TimeSpan Time = TimeSpan.FromSeconds(
        double.Parse(Environment.GetEnvironmentVariable("DEADLINE") ?? "30", System.Globalization.CultureInfo.InvariantCulture));

    public static async Task<T> OrFail<T>(this Task<T> fact, string what)
    {
        try
        {
            return await fact.WaitAsync(Time);
        }
        catch (TimeoutException) when (!fact.IsFaulted) // otherwise something that it waited for says more
        {
            throw new TimeoutException($"Not within {Time.TotalSeconds} s: {what}.");
        }
    }

    public static Task OrFail(this Task fact, string what)
    {
        return Done().OrFail(what);

        async Task<bool> Done()
        {
            await fact;
            return true;
        }
    }

    /// <summary>For a fact that announces itself to nobody: asks for it again and again.</summary>
    public static async Task UntilAsync(Func<Task<bool>> fact, string what)
    {
        using var again = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        using var late = new CancellationTokenSource(Time);
        try
        {
            while (!await fact())
                await again.WaitForNextTickAsync(late.Token);
        }
        catch (OperationCanceledException) when (late.IsCancellationRequested)
        {
            throw new TimeoutException($"Not within {Time.TotalSeconds} s: {what}.");
        }
    }
}
