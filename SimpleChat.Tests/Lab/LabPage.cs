using System.Net.WebSockets;
using System.Text;
using System.Text.Json;

namespace SimpleChat.Tests.Lab;

/// <summary>The other end of a Lab's control line: what a page is there, without a browser.</summary>
internal sealed class LabPage : IAsyncDisposable
{
    private readonly ClientWebSocket _socket = new();
    private readonly SemaphoreSlim _sending = new(1);
    private readonly Lock _lock = new();
    private readonly List<JsonElement> _entries = [];
    private readonly List<string> _refusals = [];
    private readonly TaskCompletionSource<JsonElement> _hello = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Dictionary<string, TaskCompletionSource> _asked = [];
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task _reading = Task.CompletedTask;
    private JsonElement _helloed;

    /// <summary>What it was told first.</summary>
    public JsonElement Hello => _helloed;

    /// <summary>How many entries the run has.</summary>
    public int Count
    {
        get
        {
            lock (_lock)
                return _entries.Count;
        }
    }

    /// <summary>What was refused so far.</summary>
    public string[] Refusals
    {
        get
        {
            lock (_lock)
                return [.. _refusals];
        }
    }

    /// <summary>Whether the server runs, as the entries tell.</summary>
    public bool IsServerUp
    {
        get
        {
            lock (_lock)
            {
                var last = _entries.FindLast(entry =>
                    Is(entry, "kind", "server") && !Is(entry, "state", "paused") && !Is(entry, "state", "resumed"));
                return last.ValueKind == JsonValueKind.Object && Is(last, "state", "up");
            }
        }
    }

    public static async Task<LabPage> OpenAsync(Uri lab)
    {
        var page = new LabPage();
        await page._socket.ConnectAsync(new UriBuilder(lab) { Scheme = "ws", Path = "/lab" }.Uri, default).OrFail("the control line");
        page._reading = page.ReadAllAsync();
        page._helloed = await page._hello.Task.OrFail("hello");
        return page;
    }

    /// <summary>The entries of the run, from one on.</summary>
    public JsonElement[] Entries(int from = 0)
    {
        lock (_lock)
            return [.. _entries.Skip(from)];
    }

    /// <summary>Gives a command.</summary>
    /// <param name="json">As it goes over the wire.</param>
    public async Task DoAsync(string json)
    {
        await _sending.WaitAsync();
        try
        {
            var sending = _socket.SendAsync(Encoding.UTF8.GetBytes(json), WebSocketMessageType.Text, true, default);
            await sending.OrFail("the Lab takes commands");
        }
        finally
        {
            _sending.Release();
        }
    }

    /// <summary>Waits until every command so far was handled: this one comes after them and is refused, as there is none like it.</summary>
    public async Task HandledAsync()
    {
        var refused = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        string nothing;
        lock (_lock)
        {
            nothing = $"nothing {_asked.Count}";
            _asked.Add(nothing, refused);
        }

        await DoAsync($$"""{"do":"{{nothing}}"}""");
        await refused.Task.OrFail("every command so far was handled");
    }

    /// <summary>Begins a new run, with an empty database, and waits until its server is up.</summary>
    public async Task FreshAsync()
    {
        lock (_lock)
            _entries.Clear();
        await DoAsync("""{"do":"fresh"}""");
        await UntilAsync("""{"kind":"run"}""");
        await UntilAsync("""{"kind":"server","state":"up"}""");
    }

    /// <summary>Waits for an entry that matches.</summary>
    /// <param name="pattern">As JSON.</param>
    /// <param name="from">The first entry that counts.</param>
    /// <returns>The first one.</returns>
    public async Task<JsonElement> UntilAsync(string pattern, int from = 0)
    {
        var parts = Patterns.Parse(pattern);
        var found = default(JsonElement);
        await UntilAsync(
            entries =>
            {
                found = entries.Skip(from).FirstOrDefault(entry => entry.Matches(parts));
                return found.ValueKind == JsonValueKind.Object;
            },
            $"an entry like {pattern}");
        return found;
    }

    /// <summary>Waits until something is true of the run.</summary>
    /// <param name="fact">Looks at its entries.</param>
    /// <param name="what">Names it.</param>
    public async Task UntilAsync(Predicate<IReadOnlyList<JsonElement>> fact, string what)
    {
        var late = Task.Delay(Deadline.Time);
        while (true)
        {
            Task changed;
            lock (_lock)
            {
                if (fact(_entries))
                    return;
                changed = _changed.Task;
            }

            if (await Task.WhenAny(changed, late) == late)
                throw new TimeoutException($"There is not {what}, but:\n{string.Join('\n', Entries().TakeLast(40))}");
        }
    }

    /// <summary>Waits for a verdict.</summary>
    /// <returns>Its sentence.</returns>
    public async Task<string> VerdictAsync(string promise, bool held)
    {
        var pattern = $$"""{"kind":"verdict","promise":"{{promise}}","held":{{(held ? "true" : "false")}}}""";
        return (await UntilAsync(pattern)).GetProperty("sentence").GetString()!;
    }

    public async ValueTask DisposeAsync()
    {
        _socket.Abort();
        await _reading;
        _socket.Dispose();
        _sending.Dispose();
    }

    private static bool Is(JsonElement entry, string name, string text) =>
        entry.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String && value.ValueEquals(text);

    private async Task ReadAllAsync()
    {
        try
        {
            var buffer = new MemoryStream();
            var part = new byte[64 * 1024];
            while (true)
            {
                var got = await _socket.ReceiveAsync(part.AsMemory(), default);
                if (got.MessageType == WebSocketMessageType.Close)
                    return;
                buffer.Write(part, 0, got.Count);
                if (!got.EndOfMessage)
                    continue;
                Take(Patterns.Parse(Encoding.UTF8.GetString(buffer.ToArray())));
                buffer.SetLength(0);
            }
        }
        catch (Exception e) when (e is WebSocketException or OperationCanceledException or ObjectDisposedException)
        {
            // It is over.
        }
    }

    private void Take(JsonElement said)
    {
        if (Is(said, "kind", "hello"))
        {
            _hello.TrySetResult(said);
            return;
        }

        lock (_lock)
        {
            if (Is(said, "kind", "refused"))
            {
                if (said.TryGetProperty("do", out var command) && _asked.TryGetValue($"{command}", out var asked))
                    asked.TrySetResult();
                else
                    _refusals.Add(said.GetRawText());
                return;
            }

            if (Is(said, "kind", "run"))
                _entries.Clear();
            _entries.Add(said);
            _changed.SetResult();
            _changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }
    }
}
