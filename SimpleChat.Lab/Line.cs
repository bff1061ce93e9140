using System.Net.Sockets;
using System.Text;

namespace SimpleChat.Lab;

/// <summary>A connection through a cable: what reaches it goes into the record, and on.</summary>
/// <param name="cable">The cable.</param>
/// <param name="record">The run; null if nothing is noted.</param>
/// <param name="client">The one that connected.</param>
/// <param name="server">The server.</param>
internal sealed class Line(Cable cable, Record? record, Socket client, Socket server) : IDisposable
{
    /// <summary>So much of a text is kept.</summary>
    public const int MostText = 4096;

    /// <summary>So much of a frame's bytes, and of an answer's body.</summary>
    private const int MostBytes = 512, MostAnswer = 16384;

    private readonly CancellationTokenSource _over = new();
    private readonly Queue<Exchange> _exchanges = [];
    private TaskCompletionSource<bool>? _upgrade; // whether the server took the upgrade that was asked for
    private Flow? _up;
    private (Flow By, Said Said)? _close; // the first close frame
    private int _ended;

    /// <summary>Its number in this run.</summary>
    public int Number { get; } = record?.NewLine() ?? 0;

    /// <summary>Whether frames go over it.</summary>
    public bool IsOpen { get; private set; }

    /// <summary>Carries it, until both ends are through with it or one is gone.</summary>
    public async Task RunAsync()
    {
        _up = new Flow(cable, client, server, ReachedAsync, isUp: true);
        using var down = new Flow(cable, server, client, ReachedAsync, isUp: false);
        await Task.WhenAll(CarryAsync(_up, server), CarryAsync(down, client));
        foreach (var exchange in _exchanges)
            Add(exchange);
    }

    /// <summary>A reset, both ways.</summary>
    public void Cut() => End("cut", by: "cable", isReset: true);

    /// <summary>Sends a frame to the server as if the client had.</summary>
    public async Task InjectAsync(WebSocketFrame frame)
    {
        Add(_up!, frame, _up!.Messages.Read(frame), "injected");
        await _up.GoOnAsync(frame, 0, _over.Token);
    }

    public void Dispose()
    {
        _up?.Dispose();
        client.Dispose();
        server.Dispose();
        _over.Dispose();
    }

    /// <summary>Carries one way, and passes on how it ended.</summary>
    private async Task CarryAsync(Flow flow, Socket to)
    {
        var by = flow.IsUp ? "client" : "server";
        try
        {
            var isReset = await flow.RunAsync(_over.Token);
            if (!flow.IsUp)
                _upgrade?.TrySetResult(false); // it was never answered
            if (!isReset)
                to.Shutdown(SocketShutdown.Send);
            End("closed", by, isReset);
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException or ObjectDisposedException)
        {
            End("closed", flow.IsUp ? "server" : "client", isReset: true);
        }
    }

    private void End(string state, string by, bool isReset)
    {
        if (Interlocked.Exchange(ref _ended, 1) == 0 && _upgrade is not null && (IsOpen || !_upgrade.Task.IsCompleted))
        {
            record?.Add(new LineEntry(cable.Who, Number, state, Code: _close?.Said.Code, Reason: _close?.Said.Text,
                By: _close?.By is { } closed ? closed.IsUp ? "client" : "server" : by));
        }

        if (!isReset)
            return;
        _over.Cancel();
        Reset(client);
        Reset(server);
    }

    /// <summary>Ends a connection with a reset rather than an orderly end.</summary>
    public static void Reset(Socket socket)
    {
        try
        {
            socket.LingerState = new LingerOption(true, 0);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // It is gone already.
        }

        socket.Dispose();
    }

    private async Task ReachedAsync(Flow flow, Piece piece)
    {
        if (!flow.IsUp)
            cable.Look(); // what is pushed must be in the tables by now
        var held = 0;
        switch (piece)
        {
            case WebSocketFrame frame:
                var said = flow.Messages.Read(frame);
                if (frame.Opcode == WebSocketFrame.Close)
                    _close ??= (flow, said);
                if (frame is { Fin: true, Opcode: WebSocketFrame.Text } && cable.Loses(said.What))
                {
                    Add(flow, frame, said, "lost");
                    return;
                }

                var isHeld = flow.IsHeld;
                var entry = Add(flow, frame, said, isHeld ? "held" : "passed");
                held = isHeld ? entry : 0;
                break;
            case Head head when flow.IsUp:
                Ask(head);
                break;
            case Head head:
                Answer(flow, head);
                break;
            default:
                Count(flow, piece);
                break;
        }

        await flow.GoOnAsync(piece, held, _over.Token);
        if (piece is Head { IsUpgrade: true } && flow.IsUp && await _upgrade!.Task.WaitAsync(_over.Token))
            flow.Parser.ExpectFrames();
    }

    /// <summary>A request begins.</summary>
    private void Ask(Head head)
    {
        _up!.Parser.ExpectBody(head, untilEnd: false);
        lock (_exchanges)
            _exchanges.Enqueue(new Exchange(head));
        if (!head.IsUpgrade)
            return;
        _upgrade = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
        record?.Add(new LineEntry(cable.Who, Number, "opening", Up: head.Text));
    }

    /// <summary>An answer begins.</summary>
    private void Answer(Flow down, Head head)
    {
        Exchange? exchange;
        lock (_exchanges)
            _exchanges.TryPeek(out exchange);
        if (exchange is null || head.Status is >= 100 and < 200 and not 101)
        {
            down.Parser.ExpectBody(head, untilEnd: exchange is null);
            return;
        }

        exchange.Answer = head;
        exchange.Down += head.Bytes.Length;
        if (exchange.Request.IsUpgrade && head.Status == 101)
        {
            lock (_exchanges)
                _exchanges.Dequeue();
            IsOpen = true;
            down.Parser.ExpectFrames();
            record?.Add(new LineEntry(cable.Who, Number, "open", Down: head.Text));
            _upgrade!.TrySetResult(true);
            return;
        }

        if (exchange.Request.IsUpgrade)
        {
            record?.Add(new LineEntry(cable.Who, Number, "refused", Down: head.Text, By: "server"));
            _upgrade!.TrySetResult(false);
        }

        if (!exchange.HasNoBody)
            down.Parser.ExpectBody(head, untilEnd: true);
        CloseIfThrough(down);
    }

    /// <summary>Some of a body has come.</summary>
    private void Count(Flow flow, Piece piece)
    {
        lock (_exchanges)
        {
            if (flow.IsUp)
            {
                if (_exchanges.LastOrDefault() is { } asked)
                    asked.Up += piece.Bytes.Length;
                return;
            }

            if (_exchanges.TryPeek(out var answered))
                answered.Add(piece);
        }

        CloseIfThrough(flow);
    }

    private void CloseIfThrough(Flow down)
    {
        Exchange? exchange;
        lock (_exchanges)
        {
            if (!down.Parser.IsAtHead || !_exchanges.TryDequeue(out exchange))
                return;
        }

        Add(exchange);
    }

    private void Add(Exchange exchange)
    {
        if (exchange.Request.Start is not [var method, var path, ..] || exchange.Request.IsUpgrade)
            return;
        record?.Add(new RequestEntry(cable.Who, Number, method, path, exchange.Request.Text, exchange.Answer?.Status,
            exchange.Up, exchange.Down, exchange.Text));
    }

    private int Add(Flow flow, WebSocketFrame frame, Said said, string fate) => record?.Add(new FrameEntry(
        cable.Who, Number, flow.Way, frame.Opcode, frame.Fin, frame.Bytes[..Math.Min(frame.Bytes.Length, MostBytes)],
        frame.HeaderLength + (long)frame.PayloadLength, said.What, fate, Clip(said.Text, MostText), said.Id, said.Ids,
        said.ClientMessageId)) ?? 0;

    /// <summary>The beginning of a text that is longer.</summary>
    public static string? Clip(string? text, int most) => text is { Length: var length } && length > most ? text[..most] : text;

    /// <summary>A request and its answer.</summary>
    private sealed class Exchange(Head request)
    {
        private readonly StringBuilder _text = new();

        public Head Request => request;

        public Head? Answer { get; set; }

        public long Up { get; set; } = request.Bytes.Length;

        public long Down { get; set; }

        /// <summary>Whether the answer has no body, whatever its head says (RFC 9110, section 6.4.1).</summary>
        public bool HasNoBody => request.Start[0] == "HEAD" || Answer!.Status is 204 or 304;

        public string? Text => _text.Length > 0 ? _text.ToString() : null;

        public void Add(Piece piece)
        {
            Down += piece.Bytes.Length;
            if (_text.Length < MostAnswer)
                _text.Append(Encoding.UTF8.GetString(piece is Body body ? body.Content.Span : piece.Bytes));
        }
    }
}
