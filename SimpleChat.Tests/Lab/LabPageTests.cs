using System.Text.RegularExpressions;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace SimpleChat.Tests.Lab;

/// <summary>The Lab's page, with the real server behind its cables. All of it is done by keyboard.</summary>
[Collection(OneLab.Name)]
[Trait("Category", "Lab")]
public sealed partial class LabPageTests(LabPageFixture fixture)
{
    /// <summary>Three of them; with <c>ROUNDS=10</c> all ten. LessonTests plays all of them without a browser.</summary>
    [BrowserFact]
    public Task Lessons_can_be_played_to_their_end_and_what_they_say_is_what_happens() => fixture.OpenAsync(async page =>
    {
        int[] some = [1, 4, 10];
        foreach (var lesson in Batteries.Battery.Rounds(some.Length) == some.Length ? some : [.. Enumerable.Range(1, 10)])
        {
            await page.Keyboard.PressAsync("i");
            await Expect(page.Locator("#lessons")).ToBeVisibleAsync();
            for (var i = 0; i < lesson; i++)
                await page.Keyboard.PressAsync("Tab");
            await page.Keyboard.PressAsync("Enter");
            try
            {
                await PlayAsync(page, lesson);
            }
            catch (PlaywrightException e)
            {
                throw new InvalidOperationException($"Lesson {lesson}:\n{await fixture.RecordAsync()}", e);
            }
        }
    });

    [BrowserFact]
    public Task A_cut_cable_keeps_what_alice_writes_in_the_inbox_until_it_is_plugged_in() => fixture.OpenAsync(async page =>
    {
        await page.Keyboard.PressAsync("c");
        await Expect(page.Locator("#question")).ToHaveTextAsync("bob’s cable is cut. What will bob see of alice’s next message?");
        await page.Keyboard.PressAsync("2");
        await Expect(page.Locator("#bob-cable .wire")).ToHaveAttributeAsync("data-state", "cut");
        await Expect(page.Locator("#bob .is")).ToHaveTextAsync("no line");

        await WriteAsync(page, "are you there?");
        await Expect(page.Locator("#alice .bubble .ticks")).ToHaveTextAsync("1 ✓");
        await Expect(page.GetByText("for bob")).ToBeVisibleAsync();
        await Expect(page.Locator("#bob .bubble")).ToHaveCountAsync(0);

        await page.Keyboard.PressAsync("c");
        await Expect(page.Locator("#bob .bubble")).ToHaveTextAsync("are you there?1");
        await Expect(page.Locator("#alice .bubble .ticks")).ToHaveTextAsync("1 ✓✓");
        await Expect(page.Locator("#verdict")).ToContainTextAsync("it once");

        // What the verdict speaks of stays on the screen, whatever comes.
        var spokenOf = page.Locator(".mark:has-text(\"1 into MessageDB\")");
        await Expect(spokenOf).ToBeVisibleAsync();
        for (var id = 2; id <= 3; id++)
        {
            await WriteAsync(page, "more");
            await Expect(page.Locator("#alice .bubble .ticks").Last).ToHaveTextAsync($"{id} ✓✓");
        }

        await Expect(spokenOf).ToBeVisibleAsync();
        var another = page.Locator(".promises button:has-text(\"I3\")");
        await another.PressAsync("Enter");
        await Expect(page.Locator("#verdict .promise")).ToContainTextAsync("HELD I3");
        await Expect(page.Locator(".mark:has-text(\"is cut\")").Last).ToBeVisibleAsync();
        await Expect(another).ToBeFocusedAsync();

        // The past is still there.
        await page.Keyboard.PressAsync("Home");
        await Expect(page.Locator("#status")).ToContainTextAsync("The past");
        await Expect(page.Locator("#alice .bubble")).ToHaveCountAsync(0);
        await page.Keyboard.PressAsync("End");
        await Expect(page.Locator("#alice .bubble")).ToHaveCountAsync(3);
        var marks = int.Parse(Count().Match(await page.Locator("#where").InnerTextAsync()).Value, null);
        for (var mark = marks - 1; mark > 0 && await page.Locator("#alice .bubble.waiting").CountAsync() == 0; mark--)
        {
            await page.Keyboard.PressAsync("ArrowLeft");
            await Expect(page.Locator("#where")).ToHaveTextAsync(new Regex($"^{mark} of"));
        }

        await Expect(page.Locator("#alice .bubble.waiting")).ToHaveTextAsync("more…");
    });

    [BrowserFact]
    public Task The_lenses_compute_the_accept_unmask_a_frame_and_show_an_answer_over_HTTP() => fixture.OpenAsync(async page =>
    {
        await LookAsync(page, "GET /chat?user=alice");
        await Expect(page.Locator("#lens .says")).ToContainTextAsync("✓ The same as the server’s answer");
        await page.Locator("#lens-key").PressAsync("End");
        await page.Keyboard.PressAsync("Backspace");
        await Expect(page.Locator("#lens .says")).ToContainTextAsync("the browser would refuse");
        await page.Keyboard.PressAsync("Escape");

        await WriteAsync(page, "hi bob");
        await Expect(page.Locator("#alice .ticks")).ToHaveTextAsync("1 ✓✓");
        await LookAsync(page, "send “hi bob”");
        await Expect(page.Locator("#lens .fields")).ToContainTextAsync(["opcode 1: text", "masked", "masking key"]);
        await Expect(page.Locator("#lens .text")).ToHaveTextAsync("");
        await page.Keyboard.PressAsync("ArrowRight");
        await Expect(page.Locator("#lens .sum")).ToHaveTextAsync(Sum());
        await Expect(page.Locator("#lens .text")).ToHaveTextAsync("{");
        await page.Keyboard.PressAsync("End");
        await Expect(page.Locator("#lens .text")).ToContainTextAsync("""{"type":"send","to":"bob","text":"hi bob","clientMessageId":""");
        await page.Keyboard.PressAsync("Escape");
        await Expect(page.Locator("#lens")).ToBeHiddenAsync();

        await page.Keyboard.PressAsync("y");
        await Expect(page.Locator("#bob-http")).ToBeVisibleAsync();
        await page.Keyboard.PressAsync("Enter");
        await Expect(page.Locator(".mark:has-text(\"GET /messages?with=alice\")")).ToBeVisibleAsync();
        await LookAsync(page, "GET /messages?with=alice");
        await Expect(page.Locator("#lens .heads")).ToContainTextAsync("\"text\": \"hi bob\"");
    });

    [BrowserFact]
    public Task A_run_is_a_file_that_can_be_saved_and_opened() => fixture.OpenAsync(async page =>
    {
        await WriteAsync(page, "remember me");
        await Expect(page.Locator("#alice .ticks")).ToHaveTextAsync("1 ✓✓");
        var download = await page.RunAndWaitForDownloadAsync(() => page.Keyboard.PressAsync("w"));
        using var folder = new TempFolder();
        var file = folder.File("run.jsonl");
        await download.SaveAsAsync(file);
        await page.EvaluateAsync("document.getElementById('fresh').click()");
        await Expect(page.Locator("#alice .bubble")).ToHaveCountAsync(0);

        await page.Locator("#file").SetInputFilesAsync(file);
        await Expect(page.Locator("#status")).ToHaveTextAsync("Replay of run.jsonl");
        await StepUntilAsync(page, "#bob .is[data-state=connecting]"); // not "no line": a handshake is on its way
        await page.Keyboard.PressAsync("End");
        await Expect(page.Locator("#bob .bubble")).ToHaveTextAsync("remember me1");
        await Expect(page.Locator("#alice-text")).ToBeDisabledAsync(); // nothing can be done to a replay
        await page.Keyboard.PressAsync("End");
        await Expect(page.Locator("#status")).ToHaveTextAsync("Live");

        // A recorded lesson, whose last step asks nothing: what was said of the step before is not on the screen any more.
        await page.Locator("#file").SetInputFilesAsync(
            Path.Combine(ArchitectureTests.Root, "SimpleChat.Lab", "wwwroot", "lessons", "runs", "04-lost-ack.jsonl"));
        await Expect(page.Locator("#status")).ToHaveTextAsync("Replay of 04-lost-ack.jsonl");
        await StepUntilAsync(page, "#verdict p[data-held=true]:has-text('I2')");
        await page.Keyboard.PressAsync("End");
        await Expect(page.Locator("#bob .bubble")).ToHaveCountAsync(3);
        await Expect(page.Locator("#verdict [data-held]")).ToHaveCountAsync(0);
    });

    [BrowserTheory]
    [InlineData(ColorScheme.Light)]
    [InlineData(ColorScheme.Dark)]
    public Task On_a_projector_nothing_scrolls_or_is_cut_off_and_axe_finds_nothing(ColorScheme scheme) => fixture.OpenAsync(async page =>
    {
        await AssertWholeAsync(page, "at rest");
        await page.Keyboard.PressAsync("l");
        await Expect(page.Locator("#question")).ToBeVisibleAsync();
        await AssertWholeAsync(page, "a question");
        await page.Keyboard.PressAsync("3");
        await WriteAsync(page, "are you there?");
        await Expect(page.Locator(".arrow[data-fate=lost]")).ToBeVisibleAsync();
        await page.Keyboard.PressAsync("k");
        await Expect(page.Locator("#server .is")).ToHaveTextAsync("killed");
        await AssertWholeAsync(page, "in the middle of a fault");
    }, scheme);

    /// <summary>Plays the lesson that was begun, step by step, as the keys allow.</summary>
    private static async Task PlayAsync(IPage page, int lesson)
    {
        var panel = page.Locator("#lesson");
        await Expect(panel).ToHaveAttributeAsync("data-lesson", $"{lesson}");
        for (var step = 1; ; step++)
        {
            await Expect(panel).ToHaveAttributeAsync("data-step", $"{step}");
            if (await panel.GetAttributeAsync("data-phase") == "ask")
            {
                await page.Keyboard.PressAsync(lesson == 8 ? "1" : "2"); // nothing, while the disk is full; else once
                await Expect(panel).ToHaveAttributeAsync("data-phase", "ready");
            }

            if (await panel.GetAttributeAsync("data-phase") == "ready")
                await page.Keyboard.PressAsync("n");
            await Expect(panel).ToHaveAttributeAsync("data-phase", "done");
            await Expect(page.Locator("#notice")).ToBeHiddenAsync();
            await AssertNothingIsCutOffAsync(page, $"lesson {lesson}, step {step}");
            var isLast = (await page.Locator("#press").InnerTextAsync()).StartsWith("Done", StringComparison.Ordinal);
            if (isLast)
                break;
            await page.Keyboard.PressAsync("n");
        }

        await Expect(page.Locator("#verdict [data-held=false]")).ToHaveCountAsync(0);
        Assert.DoesNotContain("twice", await page.Locator("#verdict").InnerTextAsync(), StringComparison.Ordinal);
    }

    /// <summary>Steps through the past until something is on the screen.</summary>
    private static async Task StepUntilAsync(IPage page, string selector)
    {
        await page.Keyboard.PressAsync("Home");
        for (var i = 0; i < 80 && await page.Locator(selector).CountAsync() == 0; i++)
        {
            await page.Keyboard.PressAsync("ArrowRight");
            await page.EvaluateAsync("new Promise(requestAnimationFrame)");
        }

        await Expect(page.Locator(selector)).ToBeVisibleAsync();
    }

    private static async Task WriteAsync(IPage page, string text)
    {
        await page.Keyboard.PressAsync("a");
        await page.Keyboard.TypeAsync(text);
        await page.Keyboard.PressAsync("Enter");
        await page.Keyboard.PressAsync("Escape");
    }

    /// <summary>Looks closely at the newest mark with this label.</summary>
    private static async Task LookAsync(IPage page, string label)
    {
        await page.Locator("#marks").FocusAsync();
        var chosen = page.Locator($".mark[aria-selected=true]:has-text(\"{label}\")");
        for (var i = 0; i < 40 && await chosen.CountAsync() == 0; i++)
        {
            await page.Keyboard.PressAsync("ArrowUp");
            await page.EvaluateAsync("new Promise(requestAnimationFrame)");
        }

        await page.Keyboard.PressAsync("Enter");
        await Expect(page.Locator("#lens")).ToBeVisibleAsync();
    }

    private static async Task AssertWholeAsync(IPage page, string state)
    {
        await AssertNothingIsCutOffAsync(page, state);
        await WebClientTests.AssertAccessibleAsync(page, state);
    }

    private static async Task AssertNothingIsCutOffAsync(IPage page, string state)
    {
        var wrong = await page.EvaluateAsync<string[]>(
            """
            () => [...document.querySelectorAll('html, body, main, main *')].filter(node => {
              const style = getComputedStyle(node);
              const cut = node.scrollWidth > node.clientWidth + 1 || node.scrollHeight > node.clientHeight + 1;
              return cut && node.clientWidth > 1 && style.display !== 'inline' && style.overflow !== 'visible'
                && style.textOverflow !== 'ellipsis' && !node.matches('input, select, .thread, .hidden');
            }).map(node => `${node.tagName} ${node.id} ${node.className} ${node.textContent.slice(0, 40)}`)
            """);
        Assert.True(wrong.Length == 0, $"{state}: {string.Join('\n', wrong)}");
    }

    [GeneratedRegex(@"\d+(?=$)")]
    private static partial Regex Count();

    [GeneratedRegex(@"^byte 1: \w\w ⊕ \w\w = 7b +\{$")]
    private static partial Regex Sum();
}
