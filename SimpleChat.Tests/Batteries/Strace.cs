using System.Diagnostics;

namespace SimpleChat.Tests.Batteries;

/// <summary>
/// The system-call tracer (https://strace.io, Debian: <c>apt-get install strace</c>), where there is one and it may be used.
/// </summary>
internal static class Strace
{
    public const string Command = "strace";

    /// <summary>Why it cannot be used here; null if it can.</summary>
    public static string? Missing { get; } =
        Tool.Try(Command, "-D", "-f", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=fsync", "true");

    /// <summary>In CI nothing is skipped: there a missing tracer is a failure.</summary>
    public static bool IsDemanded => string.Equals(Environment.GetEnvironmentVariable("CI"), "true", StringComparison.OrdinalIgnoreCase);

    /// <summary>Why it cannot be used here on a process that runs already; null if it can.</summary>
    public static string? MissingForRunning { get; } = Missing ?? TryAttach();

    private static string? TryAttach()
    {
        using var sleeper = Process.Start("sleep", "60");
        try
        {
            new SystemCallFault(sleeper.Id, "fsync", "EIO").Dispose();
            return null;
        }
        catch (InvalidOperationException e)
        {
            return e.Message;
        }
        finally
        {
            sleeper.Kill();
        }
    }
}

/// <summary>From now on, and until it is disposed of, certain system calls of a running process fail, or kill it.</summary>
internal sealed class SystemCallFault : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    private readonly Process _strace;

    /// <param name="process">Whose calls.</param>
    /// <param name="calls">Which, as strace's <c>inject=</c> takes them.</param>
    /// <param name="error">With what they fail: <c>EIO</c>, <c>EROFS</c>.</param>
    /// <param name="files">On which files; none means all.</param>
    /// <exception cref="InvalidOperationException">strace may not attach.</exception>
    public SystemCallFault(int process, string calls, string error, params string[] files)
        : this(process, ["-e", $"trace={calls}", "-e", $"inject={calls}:error={error}", .. files.SelectMany(file => new[] { "-P", file })])
    {
    }

    /// <param name="process">Whose calls.</param>
    /// <param name="arguments">strace's, for which calls what happens.</param>
    /// <exception cref="InvalidOperationException">strace may not attach.</exception>
    public SystemCallFault(int process, IEnumerable<string> arguments)
    {
        string[] command = ["-f", "-p", $"{process}", "-o", "/dev/null", .. arguments];
        _strace = Process.Start(new ProcessStartInfo(Strace.Command, command) { RedirectStandardError = true })!;
        using var late = new Timer(_ => _strace.Kill(), null, Deadline.Time, Timeout.InfiniteTimeSpan);
        string? line;
        do
            line = _strace.StandardError.ReadLine();
        while (line?.Contains("Requested path", StringComparison.Ordinal) == true);
        _ = _strace.StandardError.ReadToEndAsync(); // a full pipe would hold it up
        if (line?.Contains("attached", StringComparison.Ordinal) == true)
            return;
        Dispose();
        throw new InvalidOperationException($"strace may not attach to a running process here: {line}");
    }

    /// <summary>
    /// The tracer lets go. Told so of a process that is just being killed, it may wait for the main thread, and that for the tracer, for
    /// ever.
    /// </summary>
    public void Dispose()
    {
        _strace.Interrupt();
        if (!_strace.WaitForExit(Patience))
            _strace.Kill();
        _strace.Dispose();
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

/// <summary>A test that needs <see cref="SystemCallFault"/>: without it skipped with the reason, in CI run all the same, to fail.</summary>
internal sealed class SystemCallFaultFactAttribute : FactAttribute
{
    public SystemCallFaultFactAttribute()
    {
        if (!Strace.IsDemanded)
            Skip = Strace.MissingForRunning;
    }
}
