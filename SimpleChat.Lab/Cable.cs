using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Threading.Channels;

namespace SimpleChat.Lab;

/// <summary>
/// A person's cable to the server: a port of this machine, behind which everything goes on to the server, unless somebody does something
/// to the cable.
/// </summary>
internal sealed class Cable : IAsyncDisposable
{
    private static readonly Dictionary<string, WebSocketFrame> AllGarbage = new()
    {
        ["json"] = WebSocketFrame.FromClient(0x80 | WebSocketFrame.Text, "{\"type\":"u8),
        ["binary"] = WebSocketFrame.FromClient(0x80 | WebSocketFrame.Binary, [1, 2, 3]),
        ["utf8"] = WebSocketFrame.FromClient(0x80 | WebSocketFrame.Text, [0xC3, 0x28]),
        ["rsv"] = WebSocketFrame.FromClient(0xC0 | WebSocketFrame.Text, "{\"type\":\"ping\"}"u8),
        ["huge"] = WebSocketFrame.FromClient(0x80 | WebSocketFrame.Text, "{\"to\":\"bob\""u8, claim: 1L << 40),
    };

    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly Record? _record;
    private readonly Tempo _tempo;
    private readonly TimeProvider _time;
    private readonly Func<IPEndPoint?> _server;
    private readonly CancellationTokenSource _over = new();
    private readonly ConcurrentDictionary<Line, Task> _lines = new();
    private readonly ConcurrentDictionary<string, int> _losses = new();
    private readonly Gate _held = new();
    private readonly Task _accepting;
    private volatile bool _isCut;
    private long _up, _down;

    /// <param name="who">Whose it is.</param>
    /// <param name="record">The run; null if only bytes are counted.</param>
    /// <param name="tempo">How fast things go.</param>
    /// <param name="time">The clock.</param>
    /// <param name="look">Looks whether the tables have changed.</param>
    /// <param name="server">Where the server is; null while there is none.</param>
    public Cable(string who, Record? record, Tempo tempo, TimeProvider time, Action look, Func<IPEndPoint?> server)
    {
        (Who, _record, _tempo, _time, Look, _server) = (who, record, tempo, time, look, server);
        _listener.Start();
        _accepting = AcceptAsync();
    }

    /// <summary>The kinds of garbage that can be injected.</summary>
    public static IEnumerable<string> Garbage => AllGarbage.Keys;

    /// <summary>Whose it is.</summary>
    public string Who { get; }

    /// <summary>Where to connect, on this machine.</summary>
    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>Looks whether the tables have changed.</summary>
    public Action Look { get; }

    /// <summary>How long everything is on its way.</summary>
    public TimeSpan Delay { get; set; }

    /// <summary>Whether something is taken from the server.</summary>
    public Gate Reading { get; } = new();

    /// <summary>Whether whatever comes goes on at once.</summary>
    public bool IsFree => _held.IsOpen && Delay == TimeSpan.Zero && IsLive;

    /// <summary>Whether there is neither slow motion nor a pause.</summary>
    public bool IsLive => _tempo.IsLive;

    /// <summary>
    /// Whether heartbeats pass although everything else waits: in a pause that is there for people, or either end would give up the other.
    /// </summary>
    public bool PassesHeartbeats => !IsLive && _held.IsOpen && Delay == TimeSpan.Zero;

    /// <summary>Bytes that went to the server.</summary>
    public long Up => Interlocked.Read(ref _up);

    /// <summary>Bytes that came from the server.</summary>
    public long Down => Interlocked.Read(ref _down);

    /// <summary>Over this cable the server calls: its bytes count for another one, the other way round.</summary>
    public Cable? CountsFor { get; init; }

    /// <summary>The clock.</summary>
    public long Now => _time.GetTimestamp();

    /// <summary>A reset for each connection. Until <see cref="Plug"/> new ones are refused.</summary>
    public void Cut()
    {
        _isCut = true;
        Clear();
    }

    /// <summary>Ends a cut.</summary>
    public void Plug() => _isCut = false;

    /// <summary>Nothing goes on until <see cref="Release"/>.</summary>
    public void Hold() => _held.Shut();

    /// <summary>Everything goes on.</summary>
    public void Release() => _held.Open();

    /// <summary>The next frame of this kind is lost.</summary>
    public void Lose(string frame) => _losses[frame] = 1;

    /// <summary>Injects garbage, as if the person's client had sent it, over the newest WebSocket.</summary>
    /// <returns>false if there is none.</returns>
    public async Task<bool> InjectAsync(string kind)
    {
        var line = _lines.Keys.Where(line => line.IsOpen).MaxBy(line => line.Number);
        if (line is null)
            return false;
        try
        {
            await line.InjectAsync(AllGarbage[kind]);
            return true;
        }
        catch (Exception e) when (e is ChannelClosedException or OperationCanceledException or ObjectDisposedException)
        {
            return false; // it has just ended
        }
    }

    /// <summary>Cuts every connection.</summary>
    public void Clear()
    {
        foreach (var line in _lines.Keys)
            line.Cut();
    }

    /// <summary>As new: nothing is held, delayed, lost or cut any more, and no connection is left.</summary>
    public async Task ResetAsync()
    {
        Clear();
        await Task.WhenAll(_lines.Values);
        _losses.Clear();
        Delay = TimeSpan.Zero;
        _held.Open();
        Reading.Open();
        _isCut = false;
    }

    /// <summary>Whether this frame is to be lost; then no other one is.</summary>
    public bool Loses(string frame) => _losses.TryRemove(frame, out _);

    /// <summary>Counts bytes.</summary>
    public void Carried(bool isUp, int bytes)
    {
        if (CountsFor is { } other)
            other.Carried(!isUp, bytes);
        else
            Interlocked.Add(ref isUp ? ref _up : ref _down, bytes);
    }

    /// <summary>Waits until a piece may go on.</summary>
    /// <param name="piece">What waits.</param>
    /// <param name="arrivedAt">When it came.</param>
    /// <param name="end">The line ends.</param>
    public async Task PassAsync(Piece piece, long arrivedAt, CancellationToken end)
    {
        var left = Delay - _time.GetElapsedTime(arrivedAt);
        if (left > TimeSpan.Zero)
            await Task.Delay(left, _time, end);
        await _held.PassAsync(end);
        if (piece is WebSocketFrame or Head)
            await _tempo.PassAsync(end);
    }

    /// <summary>A frame that was held goes on.</summary>
    /// <param name="entry">The frame's entry; 0 if it was not held.</param>
    public void WentOn(int entry)
    {
        if (entry > 0)
            _record?.Add(new FrameOnEntry(entry));
    }

    public async ValueTask DisposeAsync()
    {
        await _over.CancelAsync();
        _listener.Dispose();
        await _accepting;
        Clear();
        await Task.WhenAll(_lines.Values);
        _over.Dispose();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                var client = await _listener.AcceptSocketAsync(_over.Token);
                _ = ServeAsync(client);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException or SocketException)
        {
            // The Lab ends.
        }
    }

    private async Task ServeAsync(Socket client)
    {
        var server = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true, ReceiveBufferSize = 64 * 1024 };
        if (_isCut || !await TryConnectAsync(server))
        {
            _record?.Add(new LineEntry(Who, _record.NewLine(), "refused", By: _isCut ? "cable" : "server"));
            Line.Reset(client);
            server.Dispose();
            return;
        }

        client.NoDelay = true;
        using var line = new Line(this, _record, client, server);
        var over = new TaskCompletionSource();
        _lines[line] = over.Task;
        try
        {
            if (_isCut || _over.IsCancellationRequested)
                line.Cut();
            await line.RunAsync();
        }
        finally
        {
            _lines.TryRemove(line, out _);
            over.SetResult();
        }
    }

    private async Task<bool> TryConnectAsync(Socket server)
    {
        if (_server() is not { } place)
            return false;
        try
        {
            await server.ConnectAsync(place, _over.Token);
            return true;
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException)
        {
            return false;
        }
    }
}
