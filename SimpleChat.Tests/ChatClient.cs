using System.Buffers;
using System.Net.WebSockets;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace SimpleChat.Tests;

/// <summary>
/// A user at a WebSocket. Frames are taken strictly as they come (<see cref="ExpectAsync"/>), or by kind where the contract
/// leaves the order open (<see cref="FindAsync"/>); that nothing came is shown by something that would have come after it.
/// </summary>
internal sealed class ChatClient : IAsyncDisposable
{
    /// <summary>Leaves out what is null; text as it is, except where JSON must escape.</summary>
    public static readonly JsonSerializerOptions Json = new()
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    };

    private readonly ClientWebSocket _socket = new();
    private readonly List<Frame> _passedOver = [];
    private readonly ArrayBufferWriter<byte> _incoming = new();

    private ChatClient()
    {
    }

    /// <summary>The subprotocol that the server selected; null for none.</summary>
    public string? Protocol => _socket.SubProtocol;

    /// <summary>The code with which the server closed; null as long as it did not.</summary>
    public int? CloseCode => (int?)_socket.CloseStatus;

    /// <summary>The first frame.</summary>
    public Frame Connected { get; private set; } = null!;

    /// <summary>Opens a WebSocket and takes the <c>connected</c> frame.</summary>
    /// <param name="url">The server's.</param>
    /// <param name="user">Who it is, on trust; null to leave that to <paramref name="configure"/>.</param>
    /// <param name="protocol">The subprotocol to offer.</param>
    /// <param name="after">The id to resume after.</param>
    /// <param name="position">The same, as it stands in the address.</param>
    /// <param name="configure">Whatever else the handshake is to carry.</param>
    /// <param name="http">Makes the request, instead of the WebSocket itself.</param>
    public static async Task<ChatClient> ConnectAsync(
        Uri url, string? user, string? protocol = null, long? after = null, string? position = null,
        Action<ClientWebSocketOptions>? configure = null, HttpMessageInvoker? http = null)
    {
        var query = (user is null ? "" : $"&user={Uri.EscapeDataString(user)}") +
            (after is null && position is null ? "" : $"&after={position ?? $"{after}"}");
        var client = new ChatClient();
        try
        {
            var chat = new UriBuilder(url) { Scheme = "ws", Path = "/chat", Query = query.TrimStart('&') }.Uri;
            await client.OpenAsync(chat, protocol, configure, http);
            client.Connected = await client.ExpectAsync("connected");
            Assert.Equal("maxMessageBytes type user", client.Connected.Properties);
            if (user is not null)
                Assert.Equal(user, client.Connected.Text("user"));
            return client;
        }
        catch
        {
            client._socket.Dispose();
            throw;
        }
    }

    /// <summary>Sends, without waiting for the answer.</summary>
    public Task SendAsync(string to, string text, string? clientMessageId = null) =>
        RawTextAsync(JsonSerializer.Serialize(new { type = "send", to, text, clientMessageId }, Json));

    /// <summary>Sends and waits until it is stored.</summary>
    /// <returns>The <c>sent</c> frame.</returns>
    public async Task<Frame> SendAndConfirmAsync(string to, string text, string? clientMessageId = null)
    {
        await SendAsync(to, text, clientMessageId);
        return await FindAsync("sent");
    }

    public Task AckAsync(params long[] ids) => RawTextAsync(JsonSerializer.Serialize(new { type = "ack", ids }));

    public Task PingAsync() => RawTextAsync("""{"type":"ping"}""");

    public Task RawTextAsync(string text) => RawBytesAsync(Encoding.UTF8.GetBytes(text));

    public Task RawBytesAsync(byte[] message) =>
        _socket.SendAsync(message, WebSocketMessageType.Text, endOfMessage: true, CancellationToken.None).OrFail("room to send in");

    /// <summary>The next frame, whatever it is.</summary>
    public async Task<Frame> ReceiveAsync()
    {
        if (_passedOver.Count == 0)
            return await ReadAsync() ?? throw Closed("another frame");
        var first = _passedOver[0];
        _passedOver.RemoveAt(0);
        return first;
    }

    /// <summary>The next frame, which must be of this type.</summary>
    public async Task<Frame> ExpectAsync(string type)
    {
        var frame = await ReceiveAsync();
        Assert.True(frame.Type == type, $"Expected '{type}', got {frame}");
        return frame;
    }

    /// <summary>The next frame of this type; what comes before it is kept for later.</summary>
    public async Task<Frame> FindAsync(string type)
    {
        for (var i = 0; ; i++)
        {
            if (i == _passedOver.Count)
                _passedOver.Add(await ReadAsync() ?? throw Closed(type));
            if (_passedOver[i].Type != type)
                continue;
            var found = _passedOver[i];
            _passedOver.RemoveAt(i);
            return found;
        }
    }

    /// <summary>The next <paramref name="count"/> messages, whatever else comes between them.</summary>
    public async Task<List<Frame>> MessagesAsync(int count)
    {
        var messages = new List<Frame>();
        while (messages.Count < count)
            messages.Add(await FindAsync("message"));
        return messages;
    }

    /// <summary>All frames up to the message with this text, and without it.</summary>
    public async Task<List<Frame>> BeforeAsync(string text)
    {
        var frames = new List<Frame>();
        while (true)
        {
            var frame = await ReceiveAsync();
            if (frame.Type == "message" && frame.Body == text)
                return frames;
            frames.Add(frame);
        }
    }

    /// <summary>Shows that this connection is open and alive: a ping is answered.</summary>
    public async Task AssertAliveAsync()
    {
        await PingAsync();
        await FindAsync("pong");
    }

    /// <summary>Takes whatever comes until the server closes.</summary>
    /// <returns>The close code and the frames before it.</returns>
    public async Task<(int Code, List<Frame> Frames)> ReceiveUntilCloseAsync()
    {
        var frames = new List<Frame>(_passedOver);
        _passedOver.Clear();
        while (await ReadAsync() is { } frame)
            frames.Add(frame);
        return (CloseCode ?? 0, frames);
    }

    /// <summary>Closes: both close frames went over when it returns.</summary>
    public Task CloseAsync(WebSocketCloseStatus status = WebSocketCloseStatus.NormalClosure) =>
        _socket.CloseAsync(status, null, CancellationToken.None).OrFail("the server's close frame");

    /// <summary>Answers the server's close frame. It waits a second for that; afterwards the connection is over, answered or not.</summary>
    public async Task AnswerCloseAsync()
    {
        try
        {
            await CloseAsync();
        }
        catch (WebSocketException)
        {
            // It is over.
        }
    }

    /// <summary>Cuts the line without a word.</summary>
    public void Abort() => _socket.Abort();

    public ValueTask DisposeAsync()
    {
        _socket.Dispose();
        return ValueTask.CompletedTask;
    }

    private InvalidOperationException Closed(string missing) =>
        new($"Instead of {missing} the server closed: {CloseCode} {_socket.CloseStatusDescription}");

    private async Task OpenAsync(Uri url, string? protocol, Action<ClientWebSocketOptions>? configure, HttpMessageInvoker? http)
    {
        _socket.Options.KeepAliveInterval = TimeSpan.Zero;
        _socket.Options.CollectHttpResponseDetails = true;
        if (protocol is not null)
            _socket.Options.AddSubProtocol(protocol);
        configure?.Invoke(_socket.Options);
        await _socket.ConnectAsync(url, http, CancellationToken.None).OrFail("an answer to the handshake");
        Assert.Equal(protocol, Protocol);
    }

    /// <returns>null if it was a close frame.</returns>
    private async Task<Frame?> ReadAsync()
    {
        _incoming.ResetWrittenCount();
        while (true)
        {
            var part = await _socket.ReceiveAsync(_incoming.GetMemory(4096), CancellationToken.None).AsTask().OrFail("another frame");
            if (part.MessageType == WebSocketMessageType.Close)
                return null;
            Assert.Equal(WebSocketMessageType.Text, part.MessageType);
            _incoming.Advance(part.Count);
            if (!part.EndOfMessage)
                continue;
            var frame = Frame.Parse(Encoding.UTF8.GetString(_incoming.WrittenSpan));
            WireSchema.Check(frame);
            return frame;
        }
    }
}
