using System.Collections.Concurrent;
using System.Text.Json;
using Microsoft.Playwright;

namespace SimpleChat.Tests.ThePage;

/// <summary>
/// A tab to measure in. Playwright hears of every frame that comes to one of its own tabs, and that costs such a tab more than the frame
/// does. Nobody listens to this one (https://chromedevtools.github.io/devtools-protocol/tot/Target).
/// </summary>
internal sealed class QuietTab : IAsyncDisposable
{
    private readonly ICDPSession _browser;
    private readonly ConcurrentDictionary<int, TaskCompletionSource<JsonElement>> _asked = new();
    private string _target = "", _session = "";
    private int _questions;

    private QuietTab(ICDPSession browser)
    {
        _browser = browser;
        browser.Event("Target.receivedMessageFromTarget").OnEvent += (_, heard) =>
        {
            var answer = JsonSerializer.Deserialize<JsonElement>(heard!.Value.GetProperty("message").GetString()!);
            if (answer.TryGetProperty("id", out var id) && _asked.TryRemove(id.GetInt32(), out var asked))
                asked.SetResult(answer);
        };
    }

    /// <summary>Opens one of 1280 by 800 pixels. It shares its storage with the other quiet tabs of the browser.</summary>
    public static async Task<QuietTab> OpenAsync(IBrowser browser, string address)
    {
        var tab = new QuietTab(await browser.NewBrowserCDPSessionAsync());
        tab._target = await tab.TellAsync(
            "Target.createTarget", "targetId", new() { ["url"] = address, ["width"] = 1280, ["height"] = 800 });
        tab._session = await tab.TellAsync("Target.attachToTarget", "sessionId", new() { ["targetId"] = tab._target });
        return tab;
    }

    /// <summary>What the expression gives, or the promise that it gives.</summary>
    /// <exception cref="InvalidOperationException">It threw.</exception>
    public async Task<T> EvaluateAsync<T>(string expression)
    {
        var answer = await AskAsync("Runtime.evaluate", new { expression, awaitPromise = true, returnByValue = true });
        if (!answer.TryGetProperty("result", out var result) || result.TryGetProperty("exceptionDetails", out _))
            throw new InvalidOperationException($"{expression}: {answer}");
        return result.GetProperty("result").GetProperty("value").Deserialize<T>()!;
    }

    /// <summary>Returns when the expression is true. While there is no page yet it may throw.</summary>
    public Task UntilAsync(string expression) => Deadline.UntilAsync(
        async () =>
        {
            try
            {
                return await EvaluateAsync<bool>($"Boolean({expression})");
            }
            catch (InvalidOperationException)
            {
                return false;
            }
        }, expression);

    /// <summary>Presses a key: one that types its own name, or Escape.</summary>
    public async Task PressAsync(string key)
    {
        var text = key == "Escape" ? null : key;
        var code = text is null ? 27 : char.ToUpperInvariant(text[0]);
        await AskAsync("Input.dispatchKeyEvent", new { type = "keyDown", key, text, windowsVirtualKeyCode = code });
        await AskAsync("Input.dispatchKeyEvent", new { type = "keyUp", key, windowsVirtualKeyCode = code });
    }

    /// <summary>Freezes the page as a browser does with a tab that nobody has looked at for long, or wakes it.</summary>
    public Task FreezeAsync(bool isFrozen) => AskAsync("Page.setWebLifecycleState", new { state = isFrozen ? "frozen" : "active" });

    /// <summary>What the page holds in memory, in bytes, when the garbage is gone.</summary>
    public async Task<double> HeapAsync()
    {
        await AskAsync("HeapProfiler.collectGarbage", new { });
        return (await AskAsync("Runtime.getHeapUsage", new { })).GetProperty("result").GetProperty("usedSize").GetDouble();
    }

    public async ValueTask DisposeAsync()
    {
        await _browser.SendAsync("Target.closeTarget", new() { ["targetId"] = _target });
        await _browser.DetachAsync();
    }

    private async Task<string> TellAsync(string method, string answer, Dictionary<string, object> parameters) =>
        (await _browser.SendAsync(method, parameters))!.Value.GetProperty(answer).GetString()!;

    private async Task<JsonElement> AskAsync(string method, object parameters)
    {
        var id = Interlocked.Increment(ref _questions);
        var answer = _asked[id] = new TaskCompletionSource<JsonElement>(TaskCreationOptions.RunContinuationsAsynchronously);
        var message = JsonSerializer.Serialize(new { id, method, @params = parameters }, ChatClient.Json);
        await _browser.SendAsync("Target.sendMessageToTarget", new() { ["sessionId"] = _session, ["message"] = message });
        return await answer.Task.OrFail(method);
    }
}
