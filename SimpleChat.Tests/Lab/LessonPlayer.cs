using System.Text.Json;
using System.Text.Json.Nodes;

namespace SimpleChat.Tests.Lab;

/// <summary>Plays lessons as the page does, without a browser: the same files, a <see cref="Pane"/> for each tab.</summary>
/// <param name="page">The control line.</param>
/// <param name="hurry">By how much everything that waits is shortened.</param>
internal sealed class LessonPlayer(LabPage page, int hurry) : IAsyncDisposable
{
    private static readonly JsonElement Start = Patterns.Parse("""{"do":"server","what":"start"}""");

    private static readonly JsonElement Cut = Patterns.Parse("""{"do":"fault","what":"cut"}""");

    private static readonly JsonElement Garbage = Patterns.Parse("""{"do":"fault","what":"garbage"}""");

    private static readonly JsonElement[] Answers =
        [Patterns.Parse("""{"kind":"frame","what":"error"}"""), Patterns.Parse("""{"kind":"line","state":"closed"}""")];

    private readonly Dictionary<(string Who, int Tab), Pane> _panes = [];

    /// <summary>Plays a lesson from its first step to its last, on a run of its own, and waits until nothing is on its way.</summary>
    /// <param name="lesson">The file's content.</param>
    /// <param name="number">From 1.</param>
    /// <returns>The run.</returns>
    public async Task<JsonElement[]> PlayAsync(JsonElement lesson, int number)
    {
        await page.FreshAsync();
        var steps = lesson.GetProperty("steps").EnumerateArray().ToArray();
        for (var step = 0; step < steps.Length; step++)
        {
            await page.DoAsync($$"""{"do":"lesson","n":{{number}},"step":{{step + 1}}}""");
            if (steps[step].TryGetProperty("predict", out var predict))
                await page.DoAsync($$"""{"do":"predict","about":"bob","says":"{{predict.GetProperty("right").GetString()}}"}""");
            await PlayAsync(steps[step]);
        }

        await page.HandledAsync();
        await page.UntilAsync(Outcome.IsAtRest, "rest: all that was on its way has come");
        await page.HandledAsync();
        return page.Entries();
    }

    /// <summary>Does what a lesson's command says, and waits until it is done: commands go over several lines.</summary>
    public async Task DoAsync(JsonElement command)
    {
        var from = page.Count;
        if (!command.TryGetProperty("as", out var who))
        {
            await page.DoAsync(Hurried(command));
            await page.UntilAsync(command.Matches(Start) ? """{"kind":"server","state":"up"}""" : $$"""
                {"kind":"fault","do":"{{command.GetProperty("do")}}"}
                """, from);
            if (command.Matches(Garbage))
                await page.UntilAsync(entries => entries.Skip(from).Any(entry => IsAnswer(entry, command)), "an answer to garbage");
            if (command.Matches(Cut))
                await Deadline.UntilAsync(() => Task.FromResult(!IsConnected(command.GetProperty("who").GetString()!)), "a broken line");
            return;
        }

        var (name, tab) = (who.GetString()!, command.TryGetProperty("tab", out var number) ? number.GetInt32() : 1);
        var pane = PaneOf(name, tab);
        if (command.TryGetProperty("connect", out _))
            await pane.ConnectAsync(resumes: command.TryGetProperty("after", out _));
        if (command.TryGetProperty("send", out var text))
            await SendAsync(pane, name == "alice" ? "bob" : "alice", text.GetString()!, command);
        if (command.TryGetProperty("again", out _))
            await pane.AgainAsync();
        if (command.TryGetProperty("leave", out _))
            await pane.LeaveAsync();
    }

    /// <summary>Does something and waits for nothing; whoever it is about connects before.</summary>
    public async Task ThrowAsync(JsonElement command, Random random)
    {
        if (!command.TryGetProperty("as", out var who))
        {
            await page.DoAsync(command.GetRawText());
            return;
        }

        var pane = PaneOf(who.GetString()!, 1);
        _ = pane.ConnectAsync().ContinueWith(_ => { }, TaskScheduler.Default);
        await SendAsync(pane, random.Next(2) == 0 ? "alice" : "bob", command.GetProperty("send").GetString()!, command);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var pane in _panes.Values)
            await pane.DisposeAsync();
    }

    private Pane PaneOf(string name, int tab)
    {
        if (!_panes.TryGetValue((name, tab), out var pane))
            _panes[(name, tab)] = pane = new Pane(page, name, tab);
        return pane;
    }

    /// <summary>Garbage is answered with an error, or with the end of that line.</summary>
    private static bool IsAnswer(JsonElement entry, JsonElement garbage) =>
        Array.Exists(Answers, answer => entry.Matches(answer))
            && JsonElement.DeepEquals(entry.GetProperty("who"), garbage.GetProperty("who"));

    private bool IsConnected(string who) => _panes.Any(pane => pane.Key.Who == who && pane.Value.IsConnected);

    private async Task PlayAsync(JsonElement step)
    {
        var from = page.Count;
        if (step.TryGetProperty("do", out var commands))
        {
            foreach (var command in commands.EnumerateArray())
                await DoAsync(command);
        }

        if (step.TryGetProperty("until", out var until))
        {
            foreach (var pattern in until.ValueKind == JsonValueKind.Array ? until.EnumerateArray().ToArray() : [until])
                await page.UntilAsync(pattern.GetRawText(), from);
        }

        if (step.TryGetProperty("promise", out var promise))
            await page.UntilAsync($$"""{"kind":"verdict","held":true,"promise":"{{promise}}"}""", from);
    }

    private static async Task SendAsync(Pane pane, string to, string text, JsonElement command)
    {
        if (!command.TryGetProperty("times", out var times))
        {
            await pane.SendAsync(to, text);
            return;
        }

        for (var i = 1; i <= times.GetInt32(); i++)
            await pane.SendAsync(to, $"{text} {i}");
    }

    private string Hurried(JsonElement command)
    {
        var json = JsonObject.Create(command)!;
        if (json["ms"] is { } ms)
            json["ms"] = ms.GetValue<int>() / hurry;
        return json.ToJsonString();
    }
}
