using System.Buffers.Binary;
using System.Diagnostics;

namespace SimpleChat.Tests.Ladder;

/// <summary>
/// The single files in <c>ladder/</c>: each builds, each loses what it says it loses and nothing that the steps before it keep.
/// The checks are in <c>ladder/check.cs</c>, and go to a server by its address.
/// </summary>
/// <param name="builds">What they were built to.</param>
[Collection(LadderBuilds.Collection)]
[Trait("Category", "Ladder")]
public sealed class LadderTests(LadderBuilds builds)
{
    /// <summary>Lines that are to be typed from one step to the next, added or changed; the first step to Kestrel begins anew.</summary>
    private const int LargestDiff = 60;

    public static TheoryData<int> Steps => [.. Enumerable.Range(1, LadderBuilds.Steps.Length)];

    public static TheoryData<string> Ways => [.. LadderBuilds.Ways];

    public static TheoryData<string> Files =>
        [.. Directory.GetFiles(LadderBuilds.Folder, "*.cs", SearchOption.AllDirectories).Select(file => Path.GetFileName(file))];

    [Theory]
    [MemberData(nameof(Steps))]
    public async Task Each_step_passes_the_checks_up_to_its_own_and_fails_the_next(int step)
    {
        AssertStep(step, await builds.OutputOf(LadderBuilds.Steps[step - 1]));
    }

    [Theory]
    [InlineData(9, 120, 1000)]
    [InlineData(10, 1, 60)]
    public async Task Those_who_write_at_the_same_time_share_their_commits_from_the_tenth_step_on(int step, int atLeast, int atMost)
    {
        using var folder = new TempFolder();
        await using var server = await (await builds.ProgramAsync(LadderBuilds.Steps[step - 1])).StartAsync(folder);
        var people = await Task.WhenAll(Enumerable.Range(0, 40).Select(i => ChatClient.ConnectAsync(server.Url, $"writer{i}")));
        await Task.WhenAll(people.Select(WriteThreeAsync));
        Assert.InRange(CommitsIn(folder.File("ladder-8.db-wal")), atLeast, atMost);

        static async Task WriteThreeAsync(ChatClient person)
        {
            for (var i = 0; i < 3; i++)
                await person.SendAsync("bob", $"{i}");
            for (var i = 0; i < 3; i++)
                await person.FindAsync("sent");
            await person.DisposeAsync();
        }
    }

    [Fact]
    public async Task A_step_starts_as_the_README_says()
    {
        using var folder = new TempFolder();
        var file = Path.Combine(LadderBuilds.Folder, LadderBuilds.Steps[4]);
        var start = new ProcessStartInfo("dotnet", ["run", file, "--", "http://127.0.0.1:0"]);
        await using var server = await LadderProgram.StartAsync(start, folder);
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        await alice.SendAndConfirmAsync("bob", "are you there?");
    }

    [Fact]
    public async Task SimpleChat_passes_all_of_them()
    {
        using var folder = new TempFolder();
        await using var server = await new ChatProcess { DatabasePath = folder.DatabasePath }.StartAsync();
        AssertStep(10, await builds.CheckAsync(server.Url));
    }

    [Theory]
    [MemberData(nameof(Steps))]
    public void Each_step_is_a_small_diff_from_the_one_before(int step)
    {
        if (step == 1)
            return;
        var (added, removed) = Diff(LinesOf(LadderBuilds.Steps[step - 2]), LinesOf(LadderBuilds.Steps[step - 1]));
        Assert.InRange(step == 2 ? added : added + removed, 1, LargestDiff);
    }

    [Theory]
    [MemberData(nameof(Steps))]
    public void The_table_says_how_long_each_step_is_and_how_much_of_it_is_new(int step)
    {
        var lines = LinesOf(LadderBuilds.Steps[step - 1]);
        var (added, removed) = step == 1 ? (0, 0) : Diff(LinesOf(LadderBuilds.Steps[step - 2]), lines);
        var name = $"| [{Path.GetFileNameWithoutExtension(LadderBuilds.Steps[step - 1])}]";
        var row = LinesOf("README.md").Single(line => line.StartsWith(name, StringComparison.Ordinal));
        Assert.EndsWith(step == 1 ? $"| {lines.Length} | |" : $"| {lines.Length} | +{added} −{removed} |", row, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Ways))]
    public async Task Each_way_brings_alices_message_to_bob_and_says_what_it_cost(string way)
    {
        var wire = await builds.OutputOf(way);
        Assert.Matches("""alice says [^{]+\{"to":"bob","text":"hi"\}[\s\S]+bob   hears[^{]+\{"[^}]*"text":"hi"\}""", wire);
        // On a slow machine bob may hear something even after the sum.
        Assert.Matches(@"(?m)^\d+ pieces and \d+ bytes in 2 seconds, for one message\.$", wire);
    }

    [Theory]
    [MemberData(nameof(Files))]
    public void Each_file_can_be_typed_in_and_read_from_top_to_bottom(string file)
    {
        var path = Directory.GetFiles(LadderBuilds.Folder, file, SearchOption.AllDirectories).Single();
        var lines = File.ReadAllLines(path);
        if (file != "check.cs")
            Assert.InRange(lines.Length, 1, path.Contains("ways", StringComparison.Ordinal) ? 60 : 120);
        Assert.All(lines, line => Assert.InRange(line.Length, 0, 140));
        for (var i = 2; i < lines.Length; i++)
            Assert.False(lines[(i - 2)..(i + 1)].All(IsComment), $"A comment of three lines ends at {i + 1}.");
    }

    /// <summary>Commits in a write-ahead log that was not started anew (https://sqlite.org/fileformat2.html#walformat).</summary>
    private static int CommitsIn(string log)
    {
        using var stream = new FileStream(log, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        var bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        var frame = 24 + (int)BinaryPrimitives.ReadUInt32BigEndian(bytes.AsSpan(8));
        return Enumerable.Range(0, (bytes.Length - 32) / frame).Count(IsCommit);

        bool IsCommit(int i) => BinaryPrimitives.ReadUInt32BigEndian(bytes.AsSpan(32 + i * frame + 4)) > 0;
    }

    private static bool IsComment(string line) => line.TrimStart().StartsWith("//", StringComparison.Ordinal);

    /// <summary>The last check measures time, of which a machine that runs tests has none to spare: commits are counted instead.</summary>
    private static void AssertStep(int step, string output)
    {
        if (step < 9)
            Assert.EndsWith($"\nThis is step {step} of 10.", output, StringComparison.Ordinal);
        else
            Assert.Contains("\nok      9  ", output, StringComparison.Ordinal);
    }

    private static string[] LinesOf(string file) => File.ReadAllLines(Path.Combine(LadderBuilds.Folder, file));

    /// <summary>By the longest common subsequence, as diff does it.</summary>
    private static (int Added, int Removed) Diff(string[] before, string[] after)
    {
        var common = new int[before.Length + 1, after.Length + 1];
        for (var i = 1; i <= before.Length; i++)
        {
            for (var j = 1; j <= after.Length; j++)
                common[i, j] = before[i - 1] == after[j - 1] ? common[i - 1, j - 1] + 1 : Math.Max(common[i - 1, j], common[i, j - 1]);
        }

        return (after.Length - common[before.Length, after.Length], before.Length - common[before.Length, after.Length]);
    }
}
