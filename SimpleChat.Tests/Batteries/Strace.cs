using System.Diagnostics;

namespace SimpleChat.Tests.Batteries;

/// <summary>
/// The system-call tracer (https://strace.io, Debian: <c>apt-get install strace</c>), where there is one and it may be used.
/// </summary>
internal static class Strace
{
    public const string Command = "strace";

    /// <summary>Why it cannot be used here; null if it can.</summary>
    public static string? Missing { get; } = Try();

    /// <summary>In CI nothing is skipped: there a missing tracer is a failure.</summary>
    public static bool IsDemanded => string.Equals(Environment.GetEnvironmentVariable("CI"), "true", StringComparison.OrdinalIgnoreCase);

    /// <summary>Why it cannot be used here on a process that runs already; null if it can.</summary>
    public static string? MissingForRunning { get; } = Missing ?? TryAttach();

    private static string? Try()
    {
        try
        {
            using var process = Start("-D", "-f", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=fsync", "true");
            process.WaitForExit();
            return process.ExitCode == 0 ? null : $"strace may not trace here: {process.StandardError.ReadToEnd().Trim()}";
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return "strace is not installed (Debian: apt-get install strace).";
        }
    }

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

    internal static Process Start(params string[] arguments) =>
        Process.Start(new ProcessStartInfo(Command, arguments) { RedirectStandardError = true })!;
}

/// <summary>From now on, and until it is disposed of, certain system calls of a running process fail, or kill it.</summary>
internal sealed class SystemCallFault : IDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(3);

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
        _strace = Strace.Start(["-f", "-p", $"{process}", "-o", "/dev/null", .. arguments]);
        string? line;
        do
            line = _strace.StandardError.ReadLine();
        while (line?.Contains("Requested path", StringComparison.Ordinal) == true);
        if (line?.Contains("attached", StringComparison.Ordinal) != true)
        {
            _strace.WaitForExit();
            _strace.Dispose();
            throw new InvalidOperationException($"strace may not attach to a running process here: {line}");
        }

        _ = _strace.StandardError.ReadToEndAsync(); // a full pipe would hold it up
    }

    public void Dispose()
    {
        // Then it lets go.
        using (var interrupt = Process.Start(new ProcessStartInfo("kill", ["-INT", $"{_strace.Id}"]) { RedirectStandardError = true })!)
            interrupt.WaitForExit(); // complains if the tracer is gone with the process
        // Told to let go of a process that is just being killed, strace may wait for its main thread, and that for strace, for ever.
        if (!_strace.WaitForExit(s_patience))
            _strace.Kill();
        _strace.WaitForExit();
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
