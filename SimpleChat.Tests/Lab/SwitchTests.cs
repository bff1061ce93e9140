using SimpleChat.Tests.Ladder;

namespace SimpleChat.Tests.Lab;

/// <summary>The same switch on two steps of the ladder: on the first one it shows the loss, on the second the rescue.</summary>
/// <param name="builds">What the steps were built to.</param>
[Collection(LadderBuilds.Collection)]
[Trait("Category", "Lab")]
public sealed class SwitchTests(LadderBuilds builds)
{
    [Fact]
    public Task A_message_that_is_lost_is_gone_on_step_6_and_comes_again_from_step_7_on() => CompareAsync(6, "I2",
        """{"as":"bob","connect":true}""", """{"as":"alice","connect":true}""",
        """{"do":"fault","who":"bob","what":"lose","frame":"message"}""", """{"as":"alice","send":"hi bob"}""",
        """{"until":{"kind":"frame","fate":"lost"}}""",
        """{"do":"fault","who":"bob","what":"cut"}""", """{"do":"fault","who":"bob","what":"plug"}""", """{"as":"bob","connect":true}""");

    [Fact]
    public Task A_sent_that_is_lost_makes_two_messages_on_step_7_and_one_from_step_8_on() => CompareAsync(7, "I6",
        """{"as":"bob","connect":true}""", """{"as":"alice","connect":true}""",
        """{"do":"fault","who":"alice","what":"lose","frame":"sent"}""", """{"as":"alice","send":"pay 10"}""",
        """{"until":{"kind":"frame","fate":"lost"}}""",
        """{"do":"fault","who":"alice","what":"cut"}""", """{"do":"fault","who":"alice","what":"plug"}""",
        """{"as":"alice","connect":true}""");

    [Fact]
    public Task Who_writes_to_a_reader_that_does_not_read_waits_on_step_8_and_goes_on_from_step_9_on() => CompareAsync(8, "I4",
        """{"as":"bob","connect":true}""", """{"as":"alice","connect":true}""", """{"do":"fault","who":"bob","what":"stop-reading"}""",
        $$"""{"as":"alice","send":"{{new string('x', 60_000)}}","times":150}""");

    /// <summary>Does the same on a step and on the next one.</summary>
    private Task CompareAsync(int step, string promise, params string[] commands)
    {
        return Task.WhenAll(PlayAsync(step, held: false), PlayAsync(step + 1, held: true));

        async Task PlayAsync(int step, bool held)
        {
            await using var lab = await TestLab.StartAsync((await builds.ProgramAsync(LadderBuilds.Steps[step - 1])).Assembly);
            await using var player = lab.Player();
            foreach (var command in commands.Select(Patterns.Parse))
            {
                if (command.TryGetProperty("until", out var pattern))
                    await lab.Page.UntilAsync(pattern.GetRawText());
                else
                    await player.DoAsync(command);
            }

            await lab.Page.VerdictAsync(promise, held);
        }
    }
}
