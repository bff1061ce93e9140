using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace SimpleChat.Tests.Batteries;

/// <summary>What the bystanders went through for a while.</summary>
/// <param name="Exchanges">Messages that were to be sent in that time.</param>
/// <param name="Sent">From the moment at which a message was to be sent until it was confirmed.</param>
/// <param name="Pushed">From that moment until it arrived.</param>
/// <param name="Asked">From connecting until <c>/health</c> was answered, or a newcomer was greeted.</param>
/// <param name="Complaints">Whatever was refused, lost, cut off or not answered, in words.</param>
internal sealed record Experience(int Exchanges, Latency Sent, Latency Pushed, Latency Asked, IReadOnlyList<string> Complaints);

/// <summary>
/// Two users who only want to chat: one sends 50 messages a second, and does not wait for one before it sends the next; the other receives
/// and acknowledges them. Beside them somebody asks for <c>/health</c> now and then, over a new connection, and a newcomer comes by. Each
/// has a thread on the server's core, and nothing in common with the attackers.
/// </summary>
internal sealed class Bystanders : IDisposable
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(20);

    /// <summary>Whoever is not answered within this has been refused.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private static int s_pairs;

    private readonly Uri _url;
    private readonly Jwt _issuer;
    private readonly TimeSpan _between;
    private readonly string _alice, _bob, _carol;
    private readonly BlockingLine _sender, _receiver;
    private readonly ManualResetEventSlim _over = new();
    private readonly Thread[] _threads;
    private readonly Lock _gate = new();

    // Under _gate.
    private readonly List<Exchange> _exchanges = [];
    private readonly List<(long At, double Took)> _asked = [];
    private readonly List<(long At, string What)> _complaints = [];

    /// <param name="server">The server, which listens.</param>
    /// <param name="issuer">Whose tokens it takes.</param>
    /// <param name="between">From one question for <c>/health</c> to the next.</param>
    public Bystanders(Uri server, Jwt issuer, TimeSpan between)
    {
        var pair = Interlocked.Increment(ref s_pairs);
        (_url, _issuer, _between, _alice, _bob, _carol) = (server, issuer, between, $"alice{pair}", $"bob{pair}", $"carol{pair}");
        _receiver = Connect(_bob);
        _sender = Connect(_alice);
        _threads = [Start(Send), Start(Receive), Start(Ask)];
    }

    /// <summary>Waits until whatever was to be sent between two moments has arrived, or until nobody would wait any longer.</summary>
    public async Task<Experience> BetweenAsync(long from, long to)
    {
        var deadline = Stopwatch.StartNew();
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        while (!IsSettled(to) && deadline.Elapsed < Patience)
            await tick.WaitForNextTickAsync();

        lock (_gate)
        {
            var exchanges = _exchanges.FindAll(exchange => exchange.Due >= from && exchange.Due < to);
            var complaints = _complaints.Where(complaint => complaint.At >= from).Select(complaint => complaint.What).ToList();
            if (exchanges.Count(exchange => exchange is { Pushed: 0, IsRefused: false }) is > 0 and var missing)
                complaints.Add($"{missing} of {exchanges.Count} messages did not arrive");
            return new Experience(
                exchanges.Count, Times(exchange => exchange.Sent), Times(exchange => exchange.Pushed),
                Of(_asked.Where(asked => asked.At >= from && asked.At < to).Select(asked => asked.Took)), complaints);

            Latency Times(Func<Exchange, long> end) => Of(exchanges.Select(exchange => Stopwatch.GetElapsedTime(
                exchange.Due, end(exchange) is 0 ? Stopwatch.GetTimestamp() : end(exchange)).TotalMilliseconds));
        }

        static Latency Of(IEnumerable<double> times) => Latency.Of(times.DefaultIfEmpty());
    }

    public void Dispose()
    {
        _over.Set();
        _sender.Dispose();
        _receiver.Dispose();
        Assert.All(_threads, thread => Assert.True(thread.Join(Deadline.Time), "A bystander goes on."));
        _over.Dispose();
    }

    /// <summary>Whether nothing that was to be sent before is on its way any more.</summary>
    private bool IsSettled(long to)
    {
        lock (_gate)
            return _exchanges is [.., var last] && last.Due >= to && _exchanges.TrueForAll(one => one.Due >= to || one.IsSettled);
    }

    private BlockingLine Open()
    {
        var line = new BlockingLine();
        line.Open(_url, Patience);
        return line;
    }

    private BlockingLine Connect(string user)
    {
        var line = Open();
        line.Send(Attacker.Upgrade(_issuer.Token(user)));
        if (line.ReadStatus() is var status and not 101)
            throw new IOException($"{user} was answered {status}");
        line.ReadFrame(out _); // connected
        return line;
    }

    /// <summary>Alice: sends whenever it is time to, and hears answers in between.</summary>
    private void Send()
    {
        var (started, answered) = (Stopwatch.GetTimestamp(), 0);
        for (var number = 0; !_over.IsSet; number++)
        {
            var due = started + (long)(number * Pause.TotalSeconds * Stopwatch.Frequency);
            while (Stopwatch.GetElapsedTime(Stopwatch.GetTimestamp(), due) is var left && left > TimeSpan.Zero)
            {
                if (_sender.HasArrived(left))
                    Hear(ref answered);
            }

            lock (_gate)
                _exchanges.Add(new Exchange(due));
            _sender.Send(RawWebSocket.Build(Opcode.Text, Encoding.UTF8.GetBytes($$"""{"to":"{{_bob}}","text":"{{number}}"}""")));
        }
    }

    /// <summary>Answers come in the order of the frames that they answer.</summary>
    private void Hear(ref int answered)
    {
        if (Frame(_sender) is not { Type: "sent" or "error" } frame)
            return;
        lock (_gate)
        {
            var exchange = _exchanges[answered++];
            exchange.Sent = Stopwatch.GetTimestamp();
            if (frame.Type == "error")
            {
                exchange.IsRefused = true;
                _complaints.Add((exchange.Sent, $"alice was told {frame.Code}"));
            }
        }
    }

    /// <summary>Bob: acknowledges whatever comes.</summary>
    private void Receive()
    {
        while (!_over.IsSet)
        {
            if (!_receiver.HasArrived(Pause))
                continue;
            var frame = Frame(_receiver);
            if (frame.Type != "message")
            {
                Complain(Stopwatch.GetTimestamp(), $"bob was told {frame.Code}");
                continue;
            }

            lock (_gate)
                _exchanges[int.Parse(frame.Body, CultureInfo.InvariantCulture)].Pushed = Stopwatch.GetTimestamp();
            _receiver.Send(RawWebSocket.Build(Opcode.Text, Encoding.UTF8.GetBytes($$"""{"type":"ack","ids":[{{frame.Id}}]}""")));
        }
    }

    /// <summary>A watchdog and a newcomer.</summary>
    private void Ask()
    {
        do
        {
            var asked = Stopwatch.GetTimestamp();
            try
            {
                using var line = Open();
                line.Send(Encoding.ASCII.GetBytes($"GET /health HTTP/1.1\r\nHost: {_url.Authority}\r\n\r\n"));
                if (line.ReadStatus() is var status and not 200)
                    Complain(asked, $"/health was {status}");
                Note(asked);
            }
            catch (Exception e) when (e is SocketException or IOException)
            {
                Complain(asked, $"/health was not answered: {e.Message}");
            }

            asked = Stopwatch.GetTimestamp();
            try
            {
                using var newcomer = Connect(_carol);
                Note(asked);
            }
            catch (Exception e) when (e is SocketException or IOException)
            {
                Complain(asked, $"a newcomer was not let in: {e.Message}");
            }
        }
        while (!_over.Wait(_between));
    }

    private void Note(long asked)
    {
        lock (_gate)
            _asked.Add((asked, Stopwatch.GetElapsedTime(asked).TotalMilliseconds));
    }

    private void Complain(long at, string what)
    {
        lock (_gate)
            _complaints.Add((at, what));
    }

    private static Frame Frame(BlockingLine line)
    {
        while (true)
        {
            var opcode = line.ReadFrame(out var payload);
            if (opcode == Opcode.Text)
                return Tests.Frame.Parse(Encoding.UTF8.GetString(payload));
            if (opcode == Opcode.Close)
                throw new IOException($"closed: {Encoding.UTF8.GetString(payload[2..])}");
        }
    }

    /// <summary>A thread on the server's core. What cuts a bystander off is a complaint.</summary>
    private Thread Start(Action act)
    {
        var thread = new Thread(() =>
        {
            Cores.JoinServers();
            try
            {
                act();
            }
            catch (Exception e) when (e is SocketException or IOException or ObjectDisposedException)
            {
                if (!_over.IsSet)
                    Complain(Stopwatch.GetTimestamp(), $"{act.Method.Name} was cut off: {e.Message}");
            }
        })
        { IsBackground = true };
        thread.Start();
        return thread;
    }

    /// <summary>A message, and the moments of its life; 0 for what has not come yet.</summary>
    private sealed class Exchange(long due)
    {
        /// <summary>When it was to be sent.</summary>
        public long Due => due;

        public long Sent { get; set; }

        public long Pushed { get; set; }

        public bool IsRefused { get; set; }

        public bool IsSettled => IsRefused || (Sent != 0 && Pushed != 0);
    }
}
