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

    /// <summary>Whoever leaves waits so long for the server's goodbye.</summary>
    private static readonly TimeSpan Goodbye = TimeSpan.FromSeconds(5);

    private readonly SemaphoreSlim _turn = new(1);
    private readonly SemaphoreSlim _telling = new(1);
    private readonly List<(string Name, string To, string Text)> _outbox = [];
    private readonly HashSet<long> _shown = [];
    private (long Id, string SentAt) _position;
    private ClientWebSocket? _socket;
    private CancellationTokenSource _left = new();
    private Task _living = Task.CompletedTask;
    private Task _again = Task.CompletedTask;
    private TaskCompletionSource _connected = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private bool _resumes;
    private volatile bool _isLeaving;
    private string _state = "left"; // or trying, open
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
        _left.CancelAfter(Goodbye);
        if (_socket is { State: WebSocketState.Open } socket)
        {
            try
            {
                await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, _left.Token);
                await _living;
            }
            catch (Exception e) when (e is WebSocketException or OperationCanceledException or ObjectDisposedException)
            {
                // The line broke, or nobody takes the goodbye.
            }
        }

        await _left.CancelAsync();
        await _living;
        await _again;
        _isLeaving = false;
    }

    /// <summary>Sends a message, now or when it is connected.</summary>
    public async Task SendAsync(string to, string text)
    {
        var name = Guid.NewGuid().ToString("N")[..8];
        lock (_outbox)
            _outbox.Add((name, to, text));
        await SeeAsync("unsent", null, name, text);
        await RememberAsync();
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
        _telling.Dispose();
    }

    private async Task LiveAsync(CancellationToken left)
    {
        while (!left.IsCancellationRequested && !_isLeaving)
        {
            _state = "trying";
            await RememberAsync();
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
            catch (Exception e) when (e is WebSocketException or OperationCanceledException or ObjectDisposedException)
            {
                // The line broke, or there was none.
            }

            _socket = null;
            if (_connected.Task.IsCompleted)
                _connected = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            if (!_isLeaving)
                await Task.Delay(Again, left).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        _state = "left";
        await RememberAsync();
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
            _state = "open";
            await RememberAsync();
        }
    }

    private async Task TakeAsync(Frame frame)
    {
        switch (frame.Type)
        {
            case "connected":
                await AgainAsync();
                _connected.TrySetResult(); // what is sent from now on was not sent just before
                break;
            case "sent":
                string? name;
                bool isNew; // a repeat is answered too
                lock (_outbox)
                {
                    name = frame.ClientMessageId ?? _outbox.FirstOrDefault().Name; // a step that knows no names answers in order
                    isNew = _outbox.RemoveAll(message => message.Name == name) > 0;
                }

                if (isNew)
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
                    _again = AgainSoonAsync(_left.Token);
                break;
        }
    }

    private async Task AgainSoonAsync(CancellationToken left)
    {
        await Task.Delay(Again, left).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await AgainAsync();
    }

    private Task PushAsync(string name, string to, string text) => WriteAsync(new { type = "send", to, text, clientMessageId = name });

    private async Task WriteAsync(object frame)
    {
        await _turn.WaitAsync();
        try
        {
            if (_socket is { State: WebSocketState.Open } socket)
                await socket.SendAsync(JsonSerializer.SerializeToUtf8Bytes(frame), WebSocketMessageType.Text, true, _left.Token);
        }
        catch (Exception e) when (e is WebSocketException or OperationCanceledException or ObjectDisposedException)
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

    /// <summary>Tells what it keeps, when that has changed: one after the other, so what was told last is so now.</summary>
    private async Task RememberAsync()
    {
        await _telling.WaitAsync();
        try
        {
            string[] outbox;
            lock (_outbox)
                outbox = [.. _outbox.Select(message => Clip(message.Text)!)];
            var memory = new { @do = "lost", who, tab, state = _state, outbox, position = _position.Id, unacked = Array.Empty<long>() };
            var now = JsonSerializer.Serialize(memory);
            if (now == _remembered)
                return;
            _remembered = now;
            await TellAsync(memory);
        }
        finally
        {
            _telling.Release();
        }
    }
}
