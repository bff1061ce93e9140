using System.Diagnostics;

namespace SimpleChat.AppHost;

/// <summary>Programs that are installed on this machine.</summary>
internal static class Installed
{
    /// <summary>Finds a program in the folders given, or in <c>PATH</c>.</summary>
    /// <param name="name">The program.</param>
    /// <param name="package">Debian's package that brings it.</param>
    /// <param name="folders">Where it may be, besides <c>PATH</c>; the last one wins.</param>
    /// <returns>Its path.</returns>
    /// <exception cref="StartException">It is nowhere.</exception>
    public static string Find(string name, string package, params IEnumerable<string> folders)
    {
        var path = Environment.GetEnvironmentVariable("PATH")?.Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries) ?? [];
        return folders.Reverse().Concat(path).Append("/usr/sbin").Select(folder => Path.Combine(folder, name)).FirstOrDefault(File.Exists)
            ?? throw new StartException($"{name} is not installed. On Debian and Ubuntu: apt-get install {package}");
    }

    /// <summary>Runs a program to its end.</summary>
    /// <param name="command">The program and its arguments.</param>
    /// <param name="input">What it reads.</param>
    /// <exception cref="StartException">It failed; the message has the last line that it said.</exception>
    public static void Run(IReadOnlyList<string> command, string input = "")
    {
        var (code, said) = End(command, input);
        if (code != 0)
            throw new StartException($"{string.Join(' ', command)} failed: {said.TrimEnd().Split('\n')[^1]}");
    }

    /// <summary>Whether a program ends with 0, which is how an engine says that it is ready.</summary>
    public static bool Succeeds(params IReadOnlyList<string> command) => End(command, "").Code == 0;

    private static (int Code, string Said) End(IReadOnlyList<string> command, string input)
    {
        var start = new ProcessStartInfo(command[0], command.Skip(1))
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = "/", // the current one may be closed to whom the program runs as
        };
        using var process = Process.Start(start)!;
        var (output, errors) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        process.StandardInput.Write(input);
        process.StandardInput.Close();
        process.WaitForExit();
        return (process.ExitCode, output.Result + errors.Result);
    }
}
