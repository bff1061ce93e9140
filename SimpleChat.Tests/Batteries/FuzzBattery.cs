using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using Xunit.Abstractions;

namespace SimpleChat.Tests.Batteries;

/// <summary>
/// I8: whole sessions, valid ones, mutated by the seed and thrown at the server, while alice and bob go on talking. The long run:
/// <c>ROUNDS=20000 dotnet test -c Release --filter FuzzBattery</c>; a round is an input.
/// </summary>
[Trait("Category", Battery.Category)]
public sealed class FuzzBattery(ITestOutputHelper output)
{
    private const int AtOnce = 16;

    /// <summary>
    /// What the server may grow by at any moment, in resident memory: a few buffers of 64 KiB for each session, and a collector that takes
    /// its time.
    /// </summary>
    private const long Growth = 160 << 20;

    /// <summary>
    /// What the second half of the inputs may add to the peak of the first. A leak of 8 KiB an input adds more in the long run.
    /// </summary>
    private const long LaterGrowth = 32 << 20;

    /// <summary>How long a bystander waits for its slowest message at most, on a machine that is busy with other tests besides.</summary>
    private static readonly TimeSpan Slowest = TimeSpan.FromSeconds(3);

    [Fact]
    public async Task I8_Whatever_comes_in_a_bystander_does_not_notice_and_memory_stays_bounded()
    {
        var seed = Battery.Seed(output);
        var inputs = Battery.Rounds(1500);
        using var folder = new TempFolder();
        await using var server = await new ChatProcess
        {
            DatabasePath = folder.DatabasePath,
            ["Chat:MessageTimeout"] = "00:00:01",
            ["Chat:MessagesPerSecond"] = "0",
            ["Chat:ConnectionsPerUser"] = "1000",
            ["Webhooks:AllowedHosts:0"] = "hooks.invalid",
        }.StartAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        await using var bob = await ChatClient.ConnectAsync(server.Url, "bob", "chat.ack");
        var before = server.ResidentBytes;

        using var enough = new CancellationTokenSource();
        var talking = TalkAsync(alice, bob, new Random(unchecked(seed - 1)), enough.Token);
        var answers = new ConcurrentBag<Answer>();
        var resident = new List<long>();
        foreach (var batch in Enumerable.Range(0, inputs).Chunk(4 * AtOnce))
        {
            await Parallel.ForEachAsync(batch, new ParallelOptions { MaxDegreeOfParallelism = AtOnce }, async (input, _) =>
            {
                var random = new Random(unchecked(seed + input));
                answers.Add(await ThrowAsync(server.Url, Mutate(random), random));
            });
            resident.Add(server.ResidentBytes);
        }

        await enough.CancelAsync();
        var took = await talking;
        took.Sort();
        var mallory = new HttpUser(server.Http, "mallory");
        Assert.Equal(204, (await mallory.RequestAsync(HttpMethod.Delete, "/webhook")).Status); // which is a connection too, if one was left
        await Deadline.UntilAsync(async () => !await mallory.SeesOnlineAsync("mallory"), "mallory's last connection gone");

        var (answered, upgraded, resets) =
            (answers.Count(answer => answer.Bytes > 0), answers.Count(answer => answer.IsUpgrade), answers.Count(answer => answer.IsReset));
        var (first, second) = (resident[..((resident.Count + 1) / 2)].Max(), resident[(resident.Count / 2)..].Max());
        output.WriteLine($"{inputs} inputs, {answered} answered, of which {upgraded} with a WebSocket; {resets} reset");
        output.WriteLine(
            $"{took.Count} messages between the bystanders meanwhile: " +
            $"p50 {Percentile(50)}, p99 {Percentile(99)}, slowest {Percentile(100)} ms");
        output.WriteLine(
            $"resident: {before >> 20} MiB before, at most {first >> 20} MiB in the first half " +
            $"and {second >> 20} MiB in the second, peak {server.PeakResidentBytes >> 20} MiB");
        Assert.True(answered > 0.75 * inputs, "Too many inputs were not answered.");
        Assert.True(upgraded > 0.2 * inputs, "Too few inputs got as far as a WebSocket.");
        Assert.True(took.Count >= 100, "The bystanders hardly got to talk.");
        Assert.True(took[^1] < Slowest, $"A bystander waited {took[^1]} for its message.");
        Assert.True(server.PeakResidentBytes - before < Growth, "Memory is not bounded.");
        Assert.True(second < first + LaterGrowth, "Memory grows.");
        string[] printed = [.. server.Output, .. server.Errors];
        var fault = Array.FindIndex(printed, line => line.StartsWith("fail:", StringComparison.Ordinal));
        Assert.True(fault < 0, $"The server logged a fault: {string.Join('\n', printed.Skip(fault).Take(20))}");
        server.Terminate();
        Assert.Equal(0, await server.ExitAsync());

        string Percentile(int percent) =>
            took[Math.Min(took.Count - 1, took.Count * percent / 100)].TotalMilliseconds.ToString("F1", CultureInfo.InvariantCulture);
    }

    /// <summary>Found by the fuzzing above: it was logged as an unhandled exception.</summary>
    [Theory]
    [InlineData("Transfer-Encoding: chunked", "zz\r\n")]
    [InlineData("Transfer-Encoding: chunked", "5\r\nhelloXX")]
    public async Task I8_A_body_that_is_not_what_its_headers_announce_is_answered_400_and_no_fault(string header, string body)
    {
        await using var server = await ChatServer.StartNewAsync();
        using var connection = await RawHttp.ConnectAsync(server.Url);
        var answer = await connection.AskAsync(
            $"POST /messages?user=mallory HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{header}\r\n\r\n{body}");
        answer.AssertProblem(400);
        Assert.Empty(server.Log.Faults);
    }

    /// <summary>Found by the fuzzing above too: names and types are compared, and comparing escapes that are no Unicode throws.</summary>
    [Theory]
    [InlineData("""{"t\ud800":1,"to":"bob","text":"hi"}""", 400)]
    [InlineData("""{"t\udc00o":"bob","text":"hi"}""", 400)]
    [InlineData("""{"type":"s\ud800","to":"bob","text":"hi"}""", 201)] // over HTTP the path says what it is: nobody looks at the type
    [InlineData("""{"type":"\udfff\ud800","to":"bob","text":"hi"}""", 201)]
    public async Task I8_Half_a_surrogate_pair_in_a_name_or_a_type_is_answered_and_no_fault(string frame, int status)
    {
        await using var server = await ChatServer.StartNewAsync();
        await using var mallory = await ChatClient.ConnectAsync(server.Url, "mallory");
        await mallory.RawTextAsync(frame);
        Assert.Contains((await mallory.ExpectAsync("error")).Code, (string[])["invalid_json", "unknown_type"]);
        await mallory.AssertAliveAsync();
        Assert.Equal(status, (await new HttpUser(server.Http, "mallory").PostAsync("/messages", frame)).Status);
        Assert.Empty(server.Log.Faults);
    }

    /// <summary>What alice writes comes to bob, all of it, once and in order, in bursts until that is enough.</summary>
    /// <returns>How long each message took, from when its burst began.</returns>
    private static async Task<List<TimeSpan>> TalkAsync(ChatClient alice, ChatClient bob, Random random, CancellationToken enough)
    {
        var took = new List<TimeSpan>();
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(10));
        while (!enough.IsCancellationRequested)
        {
            var started = Stopwatch.GetTimestamp();
            string[] burst = [.. Enumerable.Range(took.Count, random.Next(1, 9)).Select(i => i.ToString(CultureInfo.InvariantCulture))];
            foreach (var text in burst)
                await alice.SendAsync("bob", text);
            foreach (var text in burst)
            {
                var sent = await alice.FindAsync("sent");
                Frame message;
                do
                    message = await bob.FindAsync("message");
                while (message.From != "alice"); // a mutation may still be a message to bob
                Assert.Equal((sent.Id, text), (message.Id, message.Body));
                took.Add(Stopwatch.GetElapsedTime(started));
            }

            await tick.WaitForNextTickAsync(CancellationToken.None);
        }

        return took;
    }

    /// <summary>Writes it all, says some moment later that nothing follows, and reads to the end of what the server says.</summary>
    private static async Task<Answer> ThrowAsync(Uri url, byte[] input, Random random)
    {
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(url.Host, url.Port).OrFail("a TCP connection");
        var answer = new Answer();
        var reading = ReadAsync(); // from the beginning: what is wrong with the first half may be said before the second
        try
        {
            var half = input.Length / 2;
            await socket.SendAsync(input.AsMemory(0, half)).AsTask().OrFail("room to send in");
            await socket.SendAsync(input.AsMemory(half)).AsTask().OrFail("room to send in");
            // The moment of the end is drawn too; one that comes before the answer prevents it.
            await Task.WhenAny(reading, Task.Delay(random.Next(160)));
            socket.Shutdown(SocketShutdown.Send);
        }
        catch (SocketException)
        {
            // It was cut off by then.
        }

        await reading.OrFail("the end of the connection");
        return answer;

        async Task ReadAsync()
        {
            var buffer = new byte[4096];
            try
            {
                int read;
                while ((read = await socket.ReceiveAsync(buffer.AsMemory())) > 0)
                    answer = new Answer(answer.Bytes + read, answer.IsUpgrade || buffer.AsSpan(0, read).IndexOf("HTTP/1.1 101 "u8) >= 0);
            }
            catch (SocketException)
            {
                answer = answer with { IsReset = true };
            }
        }
    }

    /// <summary>What an input brought.</summary>
    private sealed record Answer(long Bytes = 0, bool IsUpgrade = false, bool IsReset = false);

    /// <summary>A valid session with some things wrong.</summary>
    private static byte[] Mutate(Random random)
    {
        var session = new List<byte>(Session(random));
        for (var mutations = random.Next(1, 6); mutations > 0 && session.Count > 0; mutations--)
        {
            var at = random.Next(session.Count);
            var length = Math.Min(random.Next(1, 40), session.Count - at);
            switch (random.Next(8))
            {
                case 0: // a bit
                    session[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 1: // some noise
                    for (var i = at; i < at + length; i++)
                        session[i] = (byte)random.Next(256);
                    break;
                case 2: // a piece is missing
                    session.RemoveRange(at, length);
                    break;
                case 3: // a piece comes twice
                    session.InsertRange(at, session.GetRange(at, length));
                    break;
                case 4: // a piece is somewhere else
                    var piece = session.GetRange(at, length);
                    session.RemoveRange(at, length);
                    session.InsertRange(random.Next(session.Count + 1), piece);
                    break;
                case 5: // the end is missing
                    session.RemoveRange(at, session.Count - at);
                    break;
                case 6: // an extreme
                    session.InsertRange(at, Extremes[random.Next(Extremes.Length)]);
                    break;
                default: // a piece of another session
                    var other = Session(random);
                    var from = random.Next(other.Length);
                    session.InsertRange(at, other[from..Math.Min(other.Length, from + 200)]);
                    break;
            }
        }

        return [.. session];
    }

    private static readonly byte[][] Extremes =
    [
        [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], [0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        [0x80, 0x80, 0, 0, 0, 0], [0x89, 0xfe, 0xff, 0xff], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0],
        "\r\n"u8.ToArray(), "\r\n\r\n"u8.ToArray(), "%00"u8.ToArray(), "\\ud800"u8.ToArray(), "1e999"u8.ToArray(),
        "-9223372036854775809"u8.ToArray(), Encoding.ASCII.GetBytes(new string('[', 2000)),
        Encoding.ASCII.GetBytes(new string('A', 70_000)),
    ];

    private static byte[] Session(Random random) => random.Next(4) == 0 ? Requests(random) : WebSocketSession(random);

    private static byte[] WebSocketSession(Random random)
    {
        var handshake = new Handshake
        {
            Target = "/chat?user=mallory" + random.Next(4) switch { 0 => "&after=0", 1 => "&access_token=x.y.z", _ => "" },
            Protocols = random.Next(2) == 0 ? ["chat.ack"] : [],
        };
        var bytes = new List<byte>(Encoding.ASCII.GetBytes(handshake.For(new Uri("http://127.0.0.1"))));
        for (var frames = random.Next(1, 8); frames > 0; frames--)
        {
            switch (random.Next(8))
            {
                case 0:
                    bytes.AddRange(RawWebSocket.Build(Opcode.Text, """{"type":"ack","ids":[1,2,3]}"""u8.ToArray()));
                    break;
                case 1:
                    bytes.AddRange(RawWebSocket.Build(Opcode.Text, """{"type":"ping"}"""u8.ToArray()));
                    break;
                case 2:
                    bytes.AddRange(RawWebSocket.Build(Opcode.Text, """{"to":"trent","""u8.ToArray(), fin: false));
                    bytes.AddRange(RawWebSocket.Build(Opcode.Ping, "hello"u8.ToArray()));
                    bytes.AddRange(RawWebSocket.Build(Opcode.Continuation, """ "text":"in two parts"}"""u8.ToArray()));
                    break;
                case 3:
                    bytes.AddRange(RawWebSocket.Build(Opcode.Close, [0x03, 0xe8]));
                    break;
                case 4:
                    var noise = new byte[random.Next(200)];
                    random.NextBytes(noise);
                    bytes.AddRange(RawWebSocket.Build(Opcode.Binary, noise, fin: random.Next(2) == 0));
                    break;
                default:
                    var text = new string('ü', random.Next(1, 400));
                    var frame = $$"""{"type":"send","to":"trent","text":"{{text}}","clientMessageId":"{{random.Next()}}"}""";
                    bytes.AddRange(RawWebSocket.Build(Opcode.Text, Encoding.UTF8.GetBytes(frame)));
                    break;
            }
        }

        return [.. bytes];
    }

    private static byte[] Requests(Random random)
    {
        var bytes = new StringBuilder();
        for (var requests = random.Next(1, 4); requests > 0; requests--)
        {
            var (request, body) = random.Next(10) switch
            {
                0 => ("GET /inbox?user=mallory", ""),
                1 => ("GET /messages?user=mallory&with=trent&limit=200&days=3&before=100", ""),
                2 => ("POST /inbox/ack?user=mallory", """{"ids":[1,2,3]}"""),
                3 => ("GET /users/trent/presence?user=mallory", ""),
                4 => ("GET /inbox?user=mallory&wait=30", ""),
                5 => ("GET /inbox/stream?user=mallory", ""),
                6 => ("PUT /webhook?user=mallory",
                    """{"url":"https://hooks.invalid/mallory","secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}"""),
                7 => ("GET /webhook?user=mallory", ""),
                8 => ("DELETE /webhook?user=mallory", ""),
                _ => ("POST /messages?user=mallory", """{"to":"trent","text":"hi","clientMessageId":"c"}"""),
            };
            bytes.Append(CultureInfo.InvariantCulture, $"{request} HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: {random.Next(3)}\r\n");
            bytes.Append(CultureInfo.InvariantCulture, $"Content-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n{body}");
        }

        return Encoding.UTF8.GetBytes(bytes.ToString());
    }
}
