using System.Runtime.InteropServices;
using Process = System.Diagnostics.Process;
using ProcessStartInfo = System.Diagnostics.ProcessStartInfo;

namespace SimpleChat.Tests;

/// <summary>
/// Another program, such as <c>mount</c> or <c>dotnet</c>, run to its end. Whatever it does, the wait ends: at the deadline it is killed
/// with all that it has started, and a child that keeps its output open is not waited for.
/// </summary>
internal static class Tool
{
    private const int Interrupted = 2, Terminated = 15; // SIGINT, SIGTERM: signal(7)

    /// <summary>Runs a program.</summary>
    /// <returns>Its exit code, and all that it printed, errors last.</returns>
    /// <exception cref="System.ComponentModel.Win32Exception">There is no such program.</exception>
    /// <exception cref="TimeoutException">It had not ended in time.</exception>
    public static Task<(int Code, string Said)> RunAsync(string program, params string[] arguments) =>
        RunAsync(new ProcessStartInfo(program, arguments));

    /// <summary>Runs a program for as long as <paramref name="patience"/>, or <see cref="Deadline.Time"/>.</summary>
    /// <inheritdoc cref="RunAsync(string, string[])"/>
    public static async Task<(int Code, string Said)> RunAsync(ProcessStartInfo start, TimeSpan? patience = null)
    {
        start.RedirectStandardOutput = start.RedirectStandardError = true;
        using var late = new CancellationTokenSource(patience ?? Deadline.Time);
        using var process = Process.Start(start)!;
        try
        {
            var said = Task.WhenAll(process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
            await process.WaitForExitAsync(late.Token);
            return (process.ExitCode, string.Concat(await said.WaitAsync(late.Token)).TrimEnd());
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException($"{start.FileName} {string.Join(' ', start.ArgumentList)} has not ended in time.");
        }
        finally
        {
            if (!process.HasExited)
                process.Kill(entireProcessTree: true);
        }
    }

    /// <summary>Runs a program without which some tests cannot run.</summary>
    /// <returns>Why they cannot; null if it ended with 0.</returns>
    public static string? Try(string program, params string[] arguments)
    {
        try
        {
            var (code, said) = Task.Run(() => RunAsync(program, arguments)).GetAwaiter().GetResult(); // a constructor waits
            return code == 0 ? null : $"{program} cannot be used here: {said}";
        }
        catch (Exception e) when (e is System.ComponentModel.Win32Exception or TimeoutException)
        {
            return e is TimeoutException ? e.Message : $"There is no {program}.";
        }
    }

    /// <summary>SIGTERM: asks a process to end. Nothing happens if it has ended.</summary>
    public static void Terminate(this Process process) => _ = Signal(process.Id, Terminated);

    /// <summary>SIGINT, as Ctrl+C sends it. Nothing happens if it has ended.</summary>
    public static void Interrupt(this Process process) => _ = Signal(process.Id, Interrupted);

    [DllImport("libc", EntryPoint = "kill")]
    private static extern int Signal(int process, int signal);
}
