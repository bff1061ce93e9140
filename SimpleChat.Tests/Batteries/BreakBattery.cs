using System.Diagnostics;
using System.Text.RegularExpressions;
using Xunit.Abstractions;

namespace SimpleChat.Tests.Batteries;

/// <summary>
/// What the other batteries are worth. In a copy of this repository the server is broken on purpose, one break at a time, and the battery
/// that is there for it must fail. The short run only sees to it that every break still fits the code. The long run:
/// <c>ROUNDS=200 dotnet test -c Release --filter BreakBattery</c>, a round being a break; with <c>BREAK=Storage</c> it tries those with
/// that in the name of the break, of its battery or of its server; <c>BREAK=ScaleOut</c>: all of the nodes'.
/// </summary>
[Trait("Category", Battery.Category)]
public sealed partial class BreakBattery(ITestOutputHelper output)
{
    /// <summary>A battery that has not ended after so long has caught nothing.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);

    /// <summary>Below a project, what it was built to.</summary>
    private const string Built = "bin/Release/net10.0";

    private static readonly string[] NotCopied =
        [".git", "bin", "obj", "node_modules", "TestResults", "chat.db", "chat.db-wal", "chat.db-shm", "chat.db.lock"];

    [Fact]
    public async Task Each_break_fits_the_code_and_in_a_long_run_its_battery_fails()
    {
        var random = new Random(Battery.Seed(output));
        foreach (var broken in Break.All)
            Change(broken);
        var picked = Environment.GetEnvironmentVariable("BREAK") ?? "";
        Break[] tried = [.. Break.All.Where(broken => broken.ToString().Contains(picked, StringComparison.Ordinal))
            .OrderBy(_ => random.Next()).Take(Battery.Rounds(0))];
        if (tried.Length == 0)
            return;

        using var copy = new TempFolder();
        Copy(new DirectoryInfo(ArchitectureTests.Root), copy.File(""));
        foreach (var tests in tried.Select(broken => broken.Tests).Distinct())
            await BuildAsync(tests, copy.File(""));
        foreach (var (battery, server) in tried.Select(broken => (broken.Battery, broken.Server)).Distinct())
            Assert.Null(await FindAsync(new Break("nothing is broken", battery) { Server = server }, copy.File("")));

        var unnoticed = new List<Break>();
        foreach (var broken in tried)
        {
            var changes = Change(broken);
            foreach (var (file, source) in changes)
                await File.WriteAllTextAsync(copy.File(file), source.Broken);
            await BuildAsync(broken.Server, copy.File(""));
            File.Copy(copy.File($"{broken.Server}/{Built}/{broken.Server}.dll"),
                copy.File($"{broken.Tests}/{Built}/{broken.Server}.dll"), overwrite: true); // from where the tests start it
            var found = await FindAsync(broken, copy.File(""));
            foreach (var (file, source) in changes)
                await File.WriteAllTextAsync(copy.File(file), source.Sound);

            output.WriteLine($"{broken}\n    {found ?? "NOT NOTICED"}");
            if (found is null)
                unnoticed.Add(broken);
        }

        Assert.Empty(unnoticed);
    }

    /// <summary>Runs the battery against the broken server.</summary>
    /// <returns>Which test failed, and how; null if none did.</returns>
    private static async Task<string?> FindAsync(Break broken, string copy)
    {
        var (tested, report) =
            await DotnetAsync(copy, "test", $"{broken.Tests}/{Built}/{broken.Tests}.dll", "--filter", broken.Battery);
        if (tested is null or 0)
            return null;
        var failure = Failure().Match(report);
        Assert.True(failure.Success, $"{broken}: neither passed nor failed: {report}");
        return $"{failure.Groups["test"]}: {failure.Groups["message"].Value.ReplaceLineEndings(" ")}";
    }

    private static async Task BuildAsync(string project, string copy)
    {
        var (code, said) = await DotnetAsync(copy, "build", project, "-c", "Release", "--disable-build-servers",
            "-p:TreatWarningsAsErrors=false", "-p:RunAnalyzers=false", "-p:Contract=all");
        Assert.True(code == 0, $"It does not compile: {said}");
    }

    private static async Task<(int? Exit, string Output)> DotnetAsync(string folder, params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet", arguments) { WorkingDirectory = folder };
        foreach (var variable in (string[])["ROUNDS", "MINUTES", "SECONDS", "SEED"])
            start.Environment.Remove(variable);
        try
        {
            return await Tool.RunAsync(start, Patience);
        }
        catch (TimeoutException)
        {
            return (null, "");
        }
    }

    /// <summary>The break's files, as they are and as they are to be.</summary>
    private static Dictionary<string, (string Sound, string Broken)> Change(Break broken)
    {
        var changes = new Dictionary<string, (string Sound, string Broken)>();
        foreach (var edit in broken.Edits)
        {
            var file = Find(edit.File);
            var sound = File.ReadAllText(Path.Combine(ArchitectureTests.Root, file)).ReplaceLineEndings("\n");
            var parts = changes.GetValueOrDefault(file, (sound, sound)).Item2.Split(edit.From.ReplaceLineEndings("\n"));
            Assert.True(parts.Length == 2,
                $"\"{broken}\" does not fit the code any more: {edit.File} has {parts.Length - 1} times {edit.From}");
            changes[file] = (sound, string.Join(edit.To, parts));
        }

        return changes;
    }

    /// <summary>The one file of the server, or of a node, with this name, from the repository's folder.</summary>
    private static string Find(string name) => Path.GetRelativePath(ArchitectureTests.Root, Assert.Single(
        ((string[])["SimpleChat", "SimpleChat.ScaleOut"]).SelectMany(project =>
            Directory.GetFiles(Path.Combine(ArchitectureTests.Root, project), name, SearchOption.AllDirectories))));

    private static void Copy(DirectoryInfo from, string to)
    {
        Directory.CreateDirectory(to);
        foreach (var file in from.EnumerateFiles().Where(file => !NotCopied.Contains(file.Name)))
            file.CopyTo(Path.Combine(to, file.Name));
        foreach (var folder in from.EnumerateDirectories().Where(folder => !NotCopied.Contains(folder.Name)))
            Copy(folder, Path.Combine(to, folder.Name));
    }

    [GeneratedRegex(@"^\s+Failed \S+\.(?<test>\w+).*\n\s+Error Message:\s+(?<message>.*\n.*)", RegexOptions.Multiline)]
    private static partial Regex Failure();
}
