using System.Text.Json;
using Xunit.Abstractions;

namespace SimpleChat.Tests.Lab;

/// <summary>
/// Each lesson of the Lab, played on the real server without a browser. What is promised is compared with a recorded run, which the page
/// replays. <c>GOLDEN=1 dotnet test --filter LessonTests</c> records them anew, at a person's pace.
/// </summary>
public sealed class LessonTests(ITestOutputHelper output)
{
    private static readonly string Folder = Path.Combine(ArchitectureTests.Root, "SimpleChat.Lab", "wwwroot", "lessons");

    private static readonly bool IsRecording = Environment.GetEnvironmentVariable("GOLDEN") == "1";

    public static TheoryData<string> Lessons =>
        [.. Directory.GetFiles(Folder, "*.json").Select(file => Path.GetFileName(file)).Where(file => file != "index.json").Order()];

    [Theory]
    [MemberData(nameof(Lessons))]
    public async Task Each_lesson_does_on_the_real_server_what_it_says(string lesson)
    {
        var run = Path.Combine(Folder, "runs", Path.ChangeExtension(lesson, "jsonl"));
        var (played, refusals) = await PlayAsync(lesson);
        if (IsRecording)
            await File.WriteAllLinesAsync(run, played.Select(entry => entry.GetRawText()));
        var promised = Outcome.Of((await File.ReadAllLinesAsync(run)).Select(Patterns.Parse));
        if (refusals.Length > 0 || Outcome.Of(played) != promised) // a player on a busy machine may have been late: then it plays once more
            (played, refusals) = await PlayAsync(lesson);
        Assert.Empty(refusals);
        output.WriteLine(Outcome.Of(played));
        Assert.Equal(promised, Outcome.Of(played));
    }

    /// <summary>Plays a lesson on a new server. No promise may be broken, however late the player is.</summary>
    private static async Task<(List<JsonElement> Played, string[] Refusals)> PlayAsync(string lesson)
    {
        var number = int.Parse(lesson[..2], System.Globalization.CultureInfo.InvariantCulture);
        await using var lab = await TestLab.StartAsync();
        var content = Patterns.Parse(await File.ReadAllTextAsync(Path.Combine(Folder, lesson)));
        await using (var player = lab.Player(IsRecording ? 1 : 20))
            await player.PlayAsync(content, number);
        var played = lab.Page.Entries().ToList();
        var broken = Patterns.Parse("""{"kind":"verdict","held":false}""");
        Assert.Empty(played.Where(entry => entry.Matches(broken)).Select(entry => entry.GetRawText()));
        Assert.DoesNotContain(lab.Log, line => line.Contains("Exception", StringComparison.Ordinal));
        return (played, lab.Page.Refusals);
    }
}
