using System.Net.WebSockets;
using System.Text;
using System.Text.Json;

namespace SimpleChat.Tests.Lab;

/// <summary>
/// A tab of alice's or bob's, over that person's cable. It does what the page's does: it sends again what was not answered, acknowledges
/// what it has shown, drops what it has seen before, connects again after its line broke, and tells the record.
/// </summary>
internal sealed class Pane(LabPage page, string who, int tab) : IAsyncDisposable
{
    private static readonly TimeSpan Again = TimeSpan.FromMilliseconds(200);

    private readonly SemaphoreSlim _turn = new(1);
    private readonly List<(string Name, string To, string Text)> _outbox = [];
    private readonly HashSet<long> _shown = [];
    private (long Id, string SentAt) _position;
    private ClientWebSocket? _socket;
    private CancellationTokenSource _left = new();
    private Task _living = Task.CompletedTask;
    private TaskCompletionSource _connected = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private bool _resumes;
    private volatile bool _isLeaving;
    private string _remembered = "";

    /// <summary>Whether it is connected, as far as it knows.</summary>
    public bool IsConnected => _connected.Task.IsCompleted;

    /// <summary>Connects, and from then on again whenever the line has broken. Waits until it is connected.</summary>
    /// <param name="resumes">Whether to ask for what is after its position.</param>
    public Task ConnectAsync(bool resumes = false)
    {
        _resumes = resumes;
        if (_living.IsCompleted)
        {
            _left.Dispose();
            _left = new CancellationTokenSource();
            _living = LiveAsync(_left.Token);
        }

        return _connected.Task.OrFail($"a connection of {who}'s");
    }

    /// <summary>Closes the line, waits until the server has closed it too, and stays away.</summary>
    public async Task LeaveAsync()
    {
        _isLeaving = true;
        if (_socket is { State: WebSocketState.Open } socket)
        {
            await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, default);
            await Task.WhenAny(_living, Task.Delay(TimeSpan.FromSeconds(5)));
        }

        await _left.CancelAsync();
        await _living;
        _isLeaving = false;
    }

    /// <summary>Sends a message, now or when it is connected.</summary>
    public async Task SendAsync(string to, string text)
    {
        var name = Guid.NewGuid().ToString("N")[..8];
        lock (_outbox)
            _outbox.Add((name, to, text));
        await SeeAsync("unsent", null, name, text);
        await PushAsync(name, to, text);
    }

    /// <summary>Sends once more what was not answered.</summary>
    public async Task AgainAsync()
    {
        (string, string, string)[] open;
        lock (_outbox)
            open = [.. _outbox];
        foreach (var (name, to, text) in open)
            await PushAsync(name, to, text);
    }

    public async ValueTask DisposeAsync()
    {
        await LeaveAsync();
        _left.Dispose();
        _turn.Dispose();
    }

    private async Task LiveAsync(CancellationToken left)
    {
        while (!left.IsCancellationRequested && !_isLeaving)
        {
            await RememberAsync("trying");
            using var socket = new ClientWebSocket();
            try
            {
                if (page.Hello.GetProperty("protocol").GetString() is { Length: > 0 } protocol)
                    socket.Options.AddSubProtocol(protocol);
                if (page.IsServerUp)
                {
                    await socket.ConnectAsync(Url, left);
                    _socket = socket;
                    await HearAsync(socket, left);
                }
            }
            catch (Exception e) when (e is WebSocketException or OperationCanceledException)
            {
                // The line broke, or there was none.
            }

            _socket = null;
            if (_connected.Task.IsCompleted)
                _connected = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            if (!_isLeaving)
                await Task.Delay(Again, left).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        await RememberAsync("left");
    }

    private Uri Url
    {
        get
        {
            var port = page.Hello.GetProperty("cables").GetProperty(who).GetInt32();
            var after = _resumes && _position.Id > 0 ? $"&after={_position.Id}@{_position.SentAt}" : "";
            return new Uri($"ws://127.0.0.1:{port}/chat?user={who}{after}");
        }
    }

    private async Task HearAsync(ClientWebSocket socket, CancellationToken left)
    {
        var buffer = new byte[128 * 1024];
        while (true)
        {
            var count = 0;
            ValueWebSocketReceiveResult got;
            do
            {
                got = await socket.ReceiveAsync(buffer.AsMemory(count), left);
                count += got.Count;
            }
            while (!got.EndOfMessage);
            if (got.MessageType == WebSocketMessageType.Close)
            {
                if (socket.State == WebSocketState.CloseReceived)
                    await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, left);
                return;
            }

            await TakeAsync(Frame.Parse(Encoding.UTF8.GetString(buffer, 0, count)));
            await RememberAsync("open");
        }
    }

    private async Task TakeAsync(Frame frame)
    {
        switch (frame.Type)
        {
            case "connected":
                _connected.TrySetResult();
                await AgainAsync();
                break;
            case "sent":
                string name;
                lock (_outbox)
                {
                    name = frame.ClientMessageId ?? _outbox[0].Name; // a step of the ladder that knows no names answers in order
                    _outbox.RemoveAll(message => message.Name == name);
                }

                await SeeAsync("sent", frame.Id, name);
                break;
            case "message" when !frame.Json.TryGetProperty("id", out _): // a step of the ladder that stores nothing
                await SeeAsync("shown", text: frame.Body);
                break;
            case "message":
                await SeeAsync(_shown.Add(frame.Id) ? "shown" : "repeat", frame.Id, text: frame.Body);
                if (frame.Id > _position.Id)
                    _position = (frame.Id, frame.SentAtAsWritten);
                if (_socket!.SubProtocol == "chat.ack")
                    await WriteAsync(new { type = "ack", ids = new[] { frame.Id } });
                break;
            case "delivered":
                await SeeAsync("delivered", frame.Id);
                break;
            case "error":
                await SeeAsync("failed", null, frame.ClientMessageId);
                if (frame.Code == "storage_unavailable")
                    _ = AgainSoonAsync();
                break;
        }
    }

    private async Task AgainSoonAsync()
    {
        await Task.Delay(Again);
        await AgainAsync();
    }

    private Task PushAsync(string name, string to, string text) => WriteAsync(new { type = "send", to, text, clientMessageId = name });

    private async Task WriteAsync(object frame)
    {
        await _turn.WaitAsync();
        try
        {
            if (_socket is { State: WebSocketState.Open } socket)
                await socket.SendAsync(JsonSerializer.SerializeToUtf8Bytes(frame), WebSocketMessageType.Text, true, default);
        }
        catch (WebSocketException)
        {
            // The line broke; what was not answered is sent again.
        }
        finally
        {
            _turn.Release();
        }
    }

    private Task SeeAsync(string what, long? id = null, string? clientMessageId = null, string? text = null) =>
        TellAsync(new { @do = "screen", who, tab, what, id, clientMessageId, text = Clip(text) });

    private static string? Clip(string? text) => text is { Length: > 100 } ? text[..100] : text;

    private Task TellAsync(object what) => page.DoAsync(JsonSerializer.Serialize(what, ChatClient.Json));

    private async Task RememberAsync(string state)
    {
        string[] outbox;
        lock (_outbox)
            outbox = [.. _outbox.Select(message => Clip(message.Text)!)];
        var memory = new { @do = "lost", who, tab, state, outbox, position = _position.Id, unacked = Array.Empty<long>() };
        var now = JsonSerializer.Serialize(memory);
        if (now == _remembered)
            return;
        _remembered = now;
        await TellAsync(memory);
    }
}
