using System.Text;

namespace SimpleChat.Tests.Batteries;

/// <summary>Something that one user, or one stranger, does instead of chatting.</summary>
/// <param name="Name">What is done, in words.</param>
/// <param name="Connections">Over how many connections at a time.</param>
/// <param name="Run">Over one of them, which has this number; called again when it returns, or was cut off.</param>
internal sealed record Attack(string Name, int Connections, Action<Attacker, int> Run)
{
    /// <summary>As many WebSockets as a user may have, and as many requests under way.</summary>
    private const int WebSockets = 16, Requests = 64;

    /// <summary>More silent connections than the server may open files.</summary>
    private const int Silent = 2 * NeighbourBattery.Descriptors;

    /// <summary>From here on there are no messages.</summary>
    private const long Unknown = 1_000_000_000;

    /// <summary>As large a page as there is.</summary>
    private const string LargePage = "GET /messages?with=friend&limit=200";

    /// <summary>The largest message that the server takes.</summary>
    private const int Largest = 64 * 1024;

    private static int s_users;

    public static IReadOnlyList<Attack> All { get; } =
    [
        // A user, over WebSockets.
        new("acknowledges 32,000 ids in a frame, over one WebSocket", 1, (attacker, _) => attacker.Flood(Text(Ack(32_000)))),
        new("acknowledges 32,000 ids in a frame", WebSockets, (attacker, _) => attacker.Flood(Text(Ack(32_000)))),
        new("acknowledges 1,024 ids in a frame", WebSockets, (attacker, _) => attacker.Flood(Text(Ack(1024, Unknown)))),
        new("acknowledges a large inbox, 1,024 ids in a frame", WebSockets, AcknowledgeTheInbox) { HasInbox = true },
        new("sends one byte in a fragment", WebSockets, (attacker, _) => attacker.Flood(Fragments(size: 1))),
        new("sends fragments with nothing in them", WebSockets, (attacker, _) => attacker.Flood(Fragments(size: 0))),
        new("sends 64 KB of an unknown property", WebSockets, (attacker, _) => attacker.Flood(Text(Filled("{\"unknown\":\"", "\"}")))),
        new("sends 64 KB of small properties", WebSockets, (attacker, _) => attacker.Flood(Text(Properties(9000)))),
        new("sends what is not JSON", WebSockets, (attacker, _) => attacker.Flood(Hundred(Text("{\"to\":")), 100)),
        new("sends JSON pings", WebSockets, (attacker, _) => attacker.Flood(Hundred(Text("{\"type\":\"ping\"}")), 100)),
        new("sends WebSocket pings of 125 bytes", WebSockets,
            (attacker, _) => attacker.Flood(Hundred(RawWebSocket.Build(Opcode.Ping, new byte[125])), 100)),
        new("sends messages beyond the limit", WebSockets, (attacker, _) => attacker.Flood(Hundred(Text(Message("hi"))), 100)),
        new("sends messages of 64 KB beyond the limit", WebSockets,
            (attacker, _) => attacker.Flood(Text(Filled("{\"to\":\"bob\",\"text\":\"", "\"}")))),
        new("sends messages and does not read the answers", WebSockets, SendWithoutReading),

        // Over HTTP.
        new("posts acknowledgements of 32,000 ids", Requests, Ask("POST /inbox/ack", Ack(32_000))),
        new("posts acknowledgements of 1,024 ids", Requests, Ask("POST /inbox/ack", Ack(1024, Unknown))),
        new("posts messages beyond the limit", Requests, Ask("POST /messages", Message("hi"))),
        new("posts bodies that never end", Requests, DribbleABody),
        new("reads pages of large messages", Requests, Ask(LargePage)) { HasInbox = true },
        new("asks for pages of large messages and does not read them", Requests, AskForPagesAndRead(0)) { HasInbox = true },
        new("asks for pages of large messages and reads them slowly", Requests, AskForPagesAndRead(60)) { HasInbox = true },
        new("polls its inbox", Requests, Ask("GET /inbox")) { HasInbox = true },
        new("begins long polls and leaves", Requests, (attacker, _) => Leave(attacker, attacker.Request("GET /inbox?wait=60"))),
        new("asks who is there", Requests, Ask("GET /users/bob/presence")),
        new("asks whom it has talked with", Requests, Ask("GET /conversations?limit=200")),
        new("registers its webhook again and again", WebSockets, Ask("PUT /webhook", Webhook)),

        // By connecting.
        new("connects and leaves", WebSockets, ConnectAndLeave("")),
        new("resumes at the very beginning and leaves", WebSockets, ConnectAndLeave("?after=0")) { HasInbox = true },
        new("opens streams at the very beginning and leaves", WebSockets,
            (attacker, _) => Leave(attacker, attacker.Request("GET /inbox/stream", header: "Last-Event-ID: 0"))) { HasInbox = true },
        new("reads a large inbox", WebSockets, ReadTheInbox) { HasInbox = true },
        new("opens a large inbox and does not read it", WebSockets, OpenTheInbox) { HasInbox = true },

        // A stranger.
        new("stranger asks for the API's description", 32, Ask("GET /openapi/v1.json", token: "")),
        new("stranger asks for the page", 32, Ask("GET /", token: "")),
        new("stranger asks for /health", Requests, Ask("GET /health", token: "")),
        new("stranger brings tokens of 8 KB", 32, Ask("GET /inbox", token: new string('x', 8000))),
        new("stranger's web pages ask for WebSockets", WebSockets,
            (attacker, _) => attacker.Ask(Attacker.Upgrade("", origin: "https://evil.example"))),
        new("stranger opens connections and says nothing", 8, OpenAndSayNothing),
        new("stranger connects and leaves", WebSockets, (attacker, _) => Leave(attacker, [])),
        new("stranger sends a header byte by byte", 8, DribbleHeaders),
    ];

    /// <summary>Who does it: somebody else each time, because what one attack costs its user is not the next one's to pay.</summary>
    public string User { get; } = $"mallory{++s_users}";

    /// <summary>Whether that user has a large inbox, and the same messages in the history.</summary>
    public bool HasInbox { get; init; }

    /// <summary>Port 9 is where nobody listens: a call costs the server what a call costs, and nobody else anything.</summary>
    private static string Webhook =>
        $$"""{"url":"http://127.0.0.1:9/","secret":"whsec_{{Convert.ToBase64String(new byte[32])}}"}""";

    public override string ToString() => $"{Name} ({Connections})";

    /// <summary>A request, again and again.</summary>
    private static Action<Attacker, int> Ask(string what, string? body = null, string? token = null) =>
        (attacker, _) => attacker.Ask(attacker.Request(what, body, token));

    private static void SendWithoutReading(Attacker attacker, int number)
    {
        using var line = attacker.WebSocket(receiveBuffer: 4096);
        var messages = Hundred(Text(Message("hi")));
        while (!attacker.IsOver)
        {
            line.Send(messages);
            attacker.Count(100);
        }
    }

    private static Action<Attacker, int> AskForPagesAndRead(int bytesAtATime) => (attacker, _) =>
    {
        using var line = attacker.Connect(receiveBuffer: 4096);
        line.Send(attacker.Request(LargePage));
        attacker.Count();
        while (attacker.Wait(TimeSpan.FromMilliseconds(100)))
        {
            if (bytesAtATime > 0)
                line.Take(bytesAtATime);
        }
    };

    private static void DribbleABody(Attacker attacker, int number)
    {
        using var line = attacker.Connect();
        var body = Message(new string('x', 60_000));
        line.Send(attacker.Request("POST /messages", body).AsSpan()[..^1000]);
        attacker.Count();
        while (attacker.Wait(TimeSpan.FromMilliseconds(100)))
            line.Send("x"u8);
    }

    private static Action<Attacker, int> ConnectAndLeave(string query) => (attacker, _) =>
    {
        using var line = attacker.WebSocket(query);
        attacker.Count();
    };

    /// <summary>Connects, says this, and goes as soon as there is an answer; without a word at once.</summary>
    private static void Leave(Attacker attacker, byte[] request)
    {
        using var line = attacker.Connect();
        line.Send(request);
        if (request.Length > 0)
            line.HasArrived(TimeSpan.FromMilliseconds(20));
        attacker.Count();
    }

    private static void ReadTheInbox(Attacker attacker, int number)
    {
        using var line = attacker.WebSocket();
        while (line.HasArrived(TimeSpan.FromSeconds(1)))
        {
            line.ReadFrame(out _);
            attacker.Count();
        }
    }

    private static void OpenTheInbox(Attacker attacker, int number)
    {
        using var line = attacker.WebSocket(receiveBuffer: 4096);
        attacker.Count();
        while (attacker.Wait(TimeSpan.FromMilliseconds(100)))
            line.Send(Text("{\"type\":\"ping\"}")); // so that no ping of the server's finds out
    }

    private static void AcknowledgeTheInbox(Attacker attacker, int number)
    {
        using var line = attacker.WebSocket();
        ReadOnlySpan<byte> oldest;
        while (line.ReadFrame(out oldest) != Opcode.Text) // a ping, if the server puts it off for long
        {
        }

        var id = Frame.Parse(Encoding.UTF8.GetString(oldest)).Id;
        attacker.Listen(line);
        for (var first = id + (number * 1024); !attacker.IsOver; first += WebSockets * 1024)
        {
            line.Send(Text(Ack(1024, first)));
            attacker.Count();
        }
    }

    private static void OpenAndSayNothing(Attacker attacker, int number) => Hold(attacker, Silent / 8, "", "");

    private static void DribbleHeaders(Attacker attacker, int number) => Hold(attacker, 16, "GET /", "x");

    /// <summary>
    /// Opens so many connections, says something on each, and more ten times a second; those that are cut off are opened again.
    /// </summary>
    private static void Hold(Attacker attacker, int count, string first, string more)
    {
        var lines = new BlockingLine?[count];
        try
        {
            do
            {
                for (var i = 0; i < count && !attacker.IsOver; i++)
                {
                    if (lines[i]?.HasArrived(TimeSpan.Zero) == true) // its end, or a refusal
                    {
                        attacker.Hear("cut off");
                        lines[i]!.Dispose();
                        lines[i] = null;
                    }

                    if (lines[i] is null)
                    {
                        attacker.Count();
                        lines[i] = attacker.Connect();
                        lines[i]!.Send(Encoding.ASCII.GetBytes(first));
                    }

                    lines[i]!.Send(Encoding.ASCII.GetBytes(more));
                }
            }
            while (attacker.Wait(TimeSpan.FromMilliseconds(100)));
        }
        finally
        {
            Array.ForEach(lines, line => line?.Dispose());
        }
    }

    private static string Message(string text) => $$"""{"to":"bob","text":"{{text}}"}""";

    /// <param name="ids">How many.</param>
    /// <param name="first">The first of them; 0 for always the same one, so that a frame holds as many as it can.</param>
    private static string Ack(int ids, long first = 0) =>
        $$"""{"type":"ack","ids":[{{string.Join(',', Enumerable.Range(0, ids).Select(id => first == 0 ? 1 : first + id))}}]}""";

    /// <summary>As large as a message may be.</summary>
    private static string Filled(string start, string end) => start + new string('x', Largest - start.Length - end.Length) + end;

    private static string Properties(int count) => $"{{{string.Join(',', Enumerable.Repeat("\"a\":0", count))}}}";

    private static byte[] Text(string text) => RawWebSocket.Build(Opcode.Text, Encoding.UTF8.GetBytes(text));

    private static byte[] Hundred(byte[] frame) => [.. Enumerable.Repeat(frame, 100).SelectMany(bytes => bytes)];

    /// <summary>One message in 2,000 fragments.</summary>
    private static byte[] Fragments(int size)
    {
        var payload = Encoding.ASCII.GetBytes(new string('x', size));
        return
        [
            .. RawWebSocket.Build(Opcode.Text, payload, fin: false),
            .. Enumerable.Range(0, 1998).SelectMany(_ => RawWebSocket.Build(Opcode.Continuation, payload, fin: false)),
            .. RawWebSocket.Build(Opcode.Continuation, "x"u8.ToArray()),
        ];
    }
}
