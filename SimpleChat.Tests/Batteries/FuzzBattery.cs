using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using Xunit.Abstractions;

namespace SimpleChat.Tests.Batteries;

/// <summary>
/// I8: whole sessions, valid ones, mutated by the seed and thrown at the server, while alice and bob go on talking. The long run:
/// <c>ROUNDS=50000 dotnet test -c Release --filter FuzzBattery</c>; a round is an input.
/// </summary>
[Trait("Category", Battery.Category)]
public sealed class FuzzBattery(ITestOutputHelper output)
{
    private const int AtOnce = 16;

    /// <summary>
    /// What the server may grow by, in resident memory: a few buffers of 64 KiB for each session, and a collector that takes its time.
    /// </summary>
    private const long Growth = 160 * 1024 * 1024;

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
        }.StartAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        await using var bob = await ChatClient.ConnectAsync(server.Url, "bob", "chat.ack");
        var (talked, slowest) = (0, TimeSpan.Zero);
        await TalkAsync();
        var before = server.ResidentBytes;

        var answered = 0;
        var next = 0;
        while (next < inputs)
        {
            var batch = Enumerable.Range(next, Math.Min(4 * AtOnce, inputs - next));
            next += 4 * AtOnce;
            await Parallel.ForEachAsync(batch, new ParallelOptions { MaxDegreeOfParallelism = AtOnce }, async (input, _) =>
            {
                var random = new Random(unchecked(seed + input));
                if (await ThrowAsync(server.Url, Mutate(random), random) > 0)
                    Interlocked.Increment(ref answered);
            });
            await TalkAsync();
        }

        await Deadline.UntilAsync(async () => !await new HttpUser(server.Http, "alice").SeesOnlineAsync("mallory"), "mallory's last connection gone");
        var after = server.ResidentBytes;
        output.WriteLine($"{inputs} inputs, {answered} answered; {talked} messages between the bystanders, " +
            $"slowest {slowest.TotalMilliseconds:F0} ms; resident {before / 1048576} MiB before, {after / 1048576} MiB after");
        Assert.True(after - before < Growth, $"Resident memory grew from {before} to {after}.");
        string[] printed = [.. server.Output, .. server.Errors];
        var fault = Array.FindIndex(printed, line => line.StartsWith("fail:", StringComparison.Ordinal));
        Assert.True(fault < 0, $"The server logged a fault: {string.Join('\n', printed.Skip(fault).Take(20))}");
        server.Terminate();
        Assert.Equal(0, await server.ExitAsync());

        async Task TalkAsync()
        {
            var started = Stopwatch.GetTimestamp();
            var text = (talked++).ToString(CultureInfo.InvariantCulture);
            var sent = await alice.SendAndConfirmAsync("bob", text);
            Frame message;
            do
                message = await bob.FindAsync("message");
            while (message.From != "alice"); // a mutation may still be a message to bob
            Assert.Equal((sent.Id, text), (message.Id, message.Body));
            var took = Stopwatch.GetElapsedTime(started);
            slowest = took > slowest ? took : slowest;
        }
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
    [InlineData("""{"t\ud800":1,"to":"bob","text":"hi"}""")]
    [InlineData("""{"t\udc00o":"bob","text":"hi"}""")]
    [InlineData("""{"type":"s\ud800","to":"bob","text":"hi"}""")]
    [InlineData("""{"type":"\udfff\ud800","to":"bob","text":"hi"}""")]
    public async Task I8_Half_a_surrogate_pair_in_a_name_or_a_type_is_answered_and_no_fault(string frame)
    {
        await using var server = await ChatServer.StartNewAsync();
        await using var mallory = await ChatClient.ConnectAsync(server.Url, "mallory");
        await mallory.RawTextAsync(frame);
        Assert.Contains((await mallory.ExpectAsync("error")).Code, (string[])["invalid_json", "unknown_type"]);
        await mallory.AssertAliveAsync();
        (await new HttpUser(server.Http, "mallory").PostAsync("/messages", frame)).AssertProblem(400);
        Assert.Empty(server.Log.Faults);
    }

    /// <summary>Writes it all, says some moment later that nothing follows, and reads to the end of what the server says.</summary>
    /// <returns>How many bytes came back.</returns>
    private static async Task<int> ThrowAsync(Uri url, byte[] input, Random random)
    {
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        var count = 0;
        try
        {
            await socket.ConnectAsync(url.Host, url.Port).OrFail("a TCP connection");
            var half = input.Length / 2;
            await socket.SendAsync(input.AsMemory(0, half)).AsTask().OrFail("room to send in");
            await socket.SendAsync(input.AsMemory(half)).AsTask().OrFail("room to send in");
            var reading = ReadAsync();
            await Task.WhenAny(reading, Task.Delay(random.Next(80))); // the moment of the end is drawn too
            socket.Shutdown(SocketShutdown.Send);
            await reading.OrFail("the end of the connection");
        }
        catch (SocketException)
        {
            // A reset is an answer too.
            count++;
        }

        return count;

        async Task ReadAsync()
        {
            var buffer = new byte[4096];
            int read;
            while ((read = await socket.ReceiveAsync(buffer.AsMemory())) > 0)
                count += read;
        }
    }

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
        "-9223372036854775809"u8.ToArray(), Encoding.ASCII.GetBytes(new string('[', 2000)), Encoding.ASCII.GetBytes(new string('A', 70_000)),
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
            switch (random.Next(7))
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
            var (request, body) = random.Next(5) switch
            {
                0 => ("GET /inbox?user=mallory", ""),
                1 => ("GET /messages?user=mallory&with=trent&limit=200&days=3&before=100", ""),
                2 => ("POST /inbox/ack?user=mallory", """{"ids":[1,2,3]}"""),
                3 => ("GET /users/trent/presence?user=mallory", ""),
                _ => ("POST /messages?user=mallory", """{"to":"trent","text":"hi","clientMessageId":"c"}"""),
            };
            bytes.Append(CultureInfo.InvariantCulture, $"{request} HTTP/1.1\r\nHost: localhost\r\n");
            bytes.Append(CultureInfo.InvariantCulture, $"Content-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n{body}");
        }

        return Encoding.UTF8.GetBytes(bytes.ToString());
    }
}
