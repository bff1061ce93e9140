using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Text;

namespace SimpleChat.Tests.Batteries;

/// <summary>
/// One user, or one stranger, at work: as many connections as the attack wants, each with a thread on the attackers' core that begins anew
/// as soon as it is cut off. It stops when it is disposed of, and everything that it has opened is closed then.
/// </summary>
internal sealed class Attacker : IDisposable
{
    private readonly Uri _url;
    private readonly string _token;
    private readonly CancellationTokenSource _over = new();
    private readonly ConcurrentDictionary<BlockingLine, bool> _lines = new();
    private readonly ConcurrentBag<Thread> _threads = [];
    private readonly ConcurrentDictionary<string, int> _told = new();
    private long _times;

    /// <param name="server">The server, which listens.</param>
    /// <param name="issuer">Whose tokens it takes.</param>
    /// <param name="attack">What to do.</param>
    public Attacker(Uri server, Jwt issuer, Attack attack)
    {
        (_url, _token) = (server, issuer.Token(attack.User));
        for (var connection = 0; connection < attack.Connections; connection++)
        {
            var number = connection;
            Start(() =>
            {
                while (!IsOver)
                    UnlessCutOff(() => attack.Run(this, number));
            });
        }
    }

    /// <summary>Whether it is time to stop.</summary>
    public bool IsOver => _over.IsCancellationRequested;

    /// <summary>How often it did what it does: messages, requests or connections.</summary>
    public long Times => Interlocked.Read(ref _times);

    /// <summary>What it was told: error codes and statuses, the most frequent first.</summary>
    public string Told => string.Join(", ", _told.OrderByDescending(told => told.Value).Take(3).Select(told => $"{told.Value} {told.Key}"));

    /// <summary>The request for a WebSocket.</summary>
    /// <param name="token">A user's.</param>
    /// <param name="query">What follows the path, such as <c>?after=0</c>.</param>
    /// <param name="origin">The web page that asks; null for a program.</param>
    public static byte[] Upgrade(string token, string query = "", string? origin = null) => Encoding.ASCII.GetBytes(
        new Handshake { Target = $"/chat{query}", Protocols = [WebSocketEndpoint.Acknowledged], Origin = origin }
            .For(new Uri("http://127.0.0.1")).Replace("\r\n\r\n", $"\r\nAuthorization: Bearer {token}\r\n\r\n", StringComparison.Ordinal));

    /// <summary>It did it once more.</summary>
    public void Count(int times = 1) => Interlocked.Add(ref _times, times);

    /// <summary>It was told this.</summary>
    public void Hear(string what) => _told.AddOrUpdate(what, 1, (_, count) => count + 1);

    /// <summary>Waits for so long, or until it is time to stop.</summary>
    /// <returns>false when it is.</returns>
    public bool Wait(TimeSpan time) => !_over.Token.WaitHandle.WaitOne(time);

    /// <summary>A TCP connection.</summary>
    /// <param name="receiveBuffer">Bytes that the kernel may hold for this end; null for its own choice.</param>
    public BlockingLine Connect(int? receiveBuffer = null)
    {
        var line = new BlockingLine(BlockingLine.Elsewhere, receiveBuffer) { Disposed = line => _lines.TryRemove(line, out _) };
        _lines[line] = true; // before it connects, so that the end of the attack cuts this short too
        if (IsOver)
            line.Dispose();
        line.Open(_url);
        return line;
    }

    /// <summary>A WebSocket of the user's, <c>connected</c> already.</summary>
    /// <param name="query">What follows the path, such as <c>?after=0</c>.</param>
    /// <param name="receiveBuffer">Bytes that the kernel may hold for this end; null for its own choice.</param>
    /// <exception cref="IOException">It was refused; that was counted as told.</exception>
    public BlockingLine WebSocket(string query = "", int? receiveBuffer = null)
    {
        var line = Connect(receiveBuffer);
        line.Send(Upgrade(_token, query));
        if (Hear(line.ReadStatus()) != 101)
            throw new IOException("The handshake was refused.");
        line.ReadFrame(out _);
        return line;
    }

    /// <summary>Takes whatever comes over a WebSocket, on a thread of its own, and keeps what errors it brings.</summary>
    public void Listen(BlockingLine line) => Start(() => UnlessCutOff(() =>
    {
        while (true)
        {
            line.ReadFrame(out var payload);
            if (payload.StartsWith("{\"type\":\"error\",\"code\":\""u8))
                Hear(Encoding.ASCII.GetString(payload[24..(24 + payload[24..].IndexOf((byte)'"'))]));
        }
    }));

    /// <summary>A request of the user's, ready to be sent.</summary>
    /// <param name="what">Method and target.</param>
    /// <param name="body">JSON, or null.</param>
    /// <param name="token">Instead of the user's own; empty for none.</param>
    /// <param name="header">A header line besides.</param>
    public byte[] Request(string what, string? body = null, string? token = null, string? header = null)
    {
        token ??= _token;
        var identity = token.Length == 0 ? "" : $"Authorization: Bearer {token}\r\n";
        var content = body is null ? "" : $"Content-Type: application/json\r\nContent-Length: {Encoding.UTF8.GetByteCount(body)}\r\n";
        var more = header is null ? "" : $"{header}\r\n";
        return Encoding.UTF8.GetBytes($"{what} HTTP/1.1\r\nHost: 127.0.0.1\r\n{identity}{more}{content}\r\n{body}");
    }

    /// <summary>Sends a request and takes the answer, again and again, over one connection.</summary>
    public void Ask(byte[] request)
    {
        using var line = Connect();
        while (!IsOver)
        {
            line.Send(request);
            Hear(line.ReadStatus());
            Count();
        }
    }

    /// <summary>Sends frames, again and again, over one WebSocket, and listens to what they bring.</summary>
    /// <param name="frames">Some messages.</param>
    /// <param name="messages">How many they are.</param>
    public void Flood(byte[] frames, int messages = 1)
    {
        using var line = WebSocket();
        Listen(line);
        while (!IsOver)
        {
            line.Send(frames);
            Count(messages);
        }
    }

    public void Dispose()
    {
        _over.Cancel();
        foreach (var line in _lines.Keys)
            line.Dispose();
        while (_threads.TryTake(out var thread))
            Assert.True(thread.Join(Deadline.Time), "An attacker goes on.");
        _over.Dispose();
    }

    private int Hear(int status)
    {
        if (status >= 400)
            Hear($"{status}");
        return status;
    }

    private void UnlessCutOff(Action act)
    {
        try
        {
            act();
        }
        catch (Exception e) when (e is SocketException or IOException or ObjectDisposedException)
        {
            if (!IsOver)
                Hear("cut off");
        }
    }

    private void Start(Action act)
    {
        var thread = new Thread(() =>
        {
            Cores.JoinAttackers();
            act();
        }, maxStackSize: 256 * 1024)
        { IsBackground = true };
        _threads.Add(thread);
        thread.Start();
    }
}
