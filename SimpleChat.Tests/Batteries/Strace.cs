namespace SimpleChat.Tests.Batteries;

/// <summary>The system-call tracer (https://strace.io, Debian: <c>apt-get install strace</c>), where there is one and it may be used.</summary>
internal static class Strace
{
    public const string Command = "strace";

    /// <summary>Why it cannot be used here; null if it can.</summary>
    public static string? Missing { get; } = Try();

    /// <summary>In CI nothing is skipped: there a missing tracer is a failure.</summary>
    public static bool IsDemanded => string.Equals(Environment.GetEnvironmentVariable("CI"), "true", StringComparison.OrdinalIgnoreCase);

    private static string? Try()
    {
        try
        {
            using var process = System.Diagnostics.Process.Start(
                new System.Diagnostics.ProcessStartInfo(Command, ["-D", "-f", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=fsync", "true"])
                {
                    RedirectStandardError = true,
                })!;
            process.WaitForExit();
            return process.ExitCode == 0 ? null : $"strace may not trace here: {process.StandardError.ReadToEnd().Trim()}";
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return "strace is not installed (Debian: apt-get install strace).";
        }
    }
}

/// <summary>A test that needs <see cref="Strace"/>: without it skipped with the reason, in CI run all the same, to fail.</summary>
internal sealed class StraceFactAttribute : FactAttribute
{
    public StraceFactAttribute()
    {
        if (!Strace.IsDemanded)
            Skip = Strace.Missing;
    }
}
