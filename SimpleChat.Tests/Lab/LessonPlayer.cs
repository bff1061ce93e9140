using System.Text.Json;
using System.Text.Json.Nodes;

namespace SimpleChat.Tests.Lab;

/// <summary>Plays lessons as the page does, without a browser: the same files, a <see cref="Pane"/> for each tab.</summary>
/// <param name="page">The control line.</param>
/// <param name="hurry">By how much everything that waits is shortened.</param>
internal sealed class LessonPlayer(LabPage page, int hurry) : IAsyncDisposable
{
    private readonly Dictionary<(string Who, int Tab), Pane> _panes = [];

    /// <summary>Plays a lesson from its first step to its last, on a run of its own.</summary>
    /// <param name="lesson">The file's content.</param>
    /// <param name="number">From 1.</param>
    public async Task PlayAsync(JsonElement lesson, int number)
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
    }

    /// <summary>Does what a lesson's command says.</summary>
    public async Task DoAsync(JsonElement command)
    {
        if (!command.TryGetProperty("as", out var who))
        {
            await page.DoAsync(Hurried(command));
            return;
        }

        var (name, tab) = (who.GetString()!, command.TryGetProperty("tab", out var number) ? number.GetInt32() : 1);
        if (!_panes.TryGetValue((name, tab), out var pane))
            _panes[(name, tab)] = pane = new Pane(page, name, tab);
        if (command.TryGetProperty("connect", out _))
            pane.Connect(command.TryGetProperty("after", out _));
        if (command.TryGetProperty("send", out var text))
            await SendAsync(pane, name == "alice" ? "bob" : "alice", text.GetString()!, command);
        if (command.TryGetProperty("again", out _))
            await pane.AgainAsync();
        if (command.TryGetProperty("leave", out _))
            await pane.LeaveAsync();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var pane in _panes.Values)
            await pane.DisposeAsync();
    }

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

        if (step.TryGetProperty("promise", out _))
            await page.UntilAsync("""{"kind":"verdict","held":true}""", from);
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
