using System.Globalization;
using SimpleChat.Tests.Batteries;
using Xunit.Abstractions;

namespace SimpleChat.Tests.Lab;

/// <summary>
/// Each lesson of the Lab, played on the real server without a browser. What is promised is compared with a recorded run, which the page
/// replays. <c>GOLDEN=1 dotnet test --filter LessonTests</c> records them anew, at a person's pace; <c>ROUNDS=20</c> plays each so often.
/// All of them share a Lab: each lesson begins with a new database and a new server.
/// </summary>
[Trait("Category", "Lab")]
public sealed class LessonTests(SharedLab shared, ITestOutputHelper output) : IClassFixture<SharedLab>
{
    private static readonly string Folder = Path.Combine(ArchitectureTests.Root, "SimpleChat.Lab", "wwwroot", "lessons");

    private static readonly bool IsRecording = Environment.GetEnvironmentVariable("GOLDEN") == "1";

    public static TheoryData<string> Lessons =>
        [.. Directory.GetFiles(Folder, "*.json").Select(file => Path.GetFileName(file)).Where(file => file != "index.json").Order()];

    [Theory]
    [MemberData(nameof(Lessons))]
    public async Task Each_lesson_does_on_the_real_server_what_it_says(string lesson)
    {
        var content = Patterns.Parse(await File.ReadAllTextAsync(Path.Combine(Folder, lesson)));
        var number = int.Parse(lesson[..2], CultureInfo.InvariantCulture);
        for (var round = 0; round < Battery.Rounds(1); round++)
        {
            var lab = shared.Lab;
            var (log, refusals) = (lab.Log.Count, lab.Page.Refusals.Length);
            await using var player = lab.Player(IsRecording ? 1 : 20);
            var played = await player.PlayAsync(content, number);

            var broken = Patterns.Parse("""{"kind":"verdict","held":false}""");
            Assert.Empty(played.Where(entry => entry.Matches(broken)).Select(entry => entry.GetRawText()));
            Assert.Empty(lab.Page.Refusals[refusals..]);
            Assert.DoesNotContain(lab.Log.Skip(log), line => line.Contains("Exception", StringComparison.Ordinal));

            var run = Path.Combine(Folder, "runs", Path.ChangeExtension(lesson, "jsonl"));
            if (IsRecording)
                await File.WriteAllLinesAsync(run, played.Select(entry => entry.GetRawText()));
            var outcome = Outcome.Of(played);
            output.WriteLine(outcome);
            Assert.Equal(Outcome.Of((await File.ReadAllLinesAsync(run)).Select(Patterns.Parse)), outcome);
        }
    }
}
