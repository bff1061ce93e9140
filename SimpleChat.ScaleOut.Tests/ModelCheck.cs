using System.Diagnostics;
using System.Runtime.CompilerServices;

namespace SimpleChat.Tests;

/// <summary>
/// The chain and the join in every order of events that there is, by spin (https://spinroot.com): model/chain.pml. And the model broken on
/// purpose, which it finds.
/// </summary>
public sealed class ModelCheck
{
    /// <summary>Why it cannot run; null if it can. In CI it must.</summary>
    public static string? Missing { get; } =
        Environment.GetEnvironmentVariable("CI") == "true" || File.Exists("/usr/bin/spin") && File.Exists("/usr/bin/gcc")
            ? null
            : "spin or gcc is missing: apt-get install spin gcc";

    [ModelTheory]
    [InlineData("", "errors: 0")]
    [InlineData("-DNOHOLD", "assertion violated")]
    [InlineData("-DNOLOOK", "invalid end state")]
    [InlineData("-DOFFERFIRST", "assertion violated")]
    [InlineData("-DMARKFIRST", "assertion violated")]
    [InlineData("-DNODROP", "assertion violated")]
    public async Task I3_Two_nodes_three_messages_and_a_reader_at_any_moment_know_no_hole_no_repeat_and_no_overtaking(
        string broken, string expected)
    {
        var folder = Directory.CreateTempSubdirectory("simplechat-");
        try
        {
            await RunAsync("spin", ["-a", .. broken.Length == 0 ? (string[])[] : [broken], Model()], folder);
            await RunAsync("gcc", ["-O2", "-w", "-DSAFETY", "-o", "pan", "pan.c"], folder);
            var verdict = await RunAsync(Path.Combine(folder.FullName, "pan"), ["-m100000"], folder);
            Assert.Contains(expected, verdict);
            Assert.DoesNotContain("max search depth too small", verdict);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static async Task<string> RunAsync(string command, string[] arguments, DirectoryInfo folder)
    {
        var (_, said) = await Tool.RunAsync(new ProcessStartInfo(command, arguments) { WorkingDirectory = folder.FullName });
        return said;
    }

    private static string Model([CallerFilePath] string here = "") =>
        Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "../SimpleChat.ScaleOut/model/chain.pml"));
}

/// <summary>A theory for which spin must be there.</summary>
internal sealed class ModelTheoryAttribute : Xunit.TheoryAttribute
{
    public ModelTheoryAttribute() => Skip = ModelCheck.Missing;
}
