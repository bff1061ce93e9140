using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;

namespace SimpleChat.Tests;

/// <summary>The process's descriptors: nobody uses them up, and who only connects keeps nobody out.</summary>
public sealed partial class DoorTests : IDisposable
{
    /// <summary>What the server may have open in these tests, and a crowd larger than that.</summary>
    private const int Descriptors = 600, Crowd = 700;

    private readonly TempFolder _folder = new();
    private readonly List<IDisposable> _crowd = [];

    public void Dispose()
    {
        Disperse();
        _folder.Dispose();
    }

    [Theory]
    [InlineData("")]
    [InlineData("GET /health HTTP/1.1\r\nHost: loc")] // and never the rest
    [InlineData("GET /alive HTTP/1.1\r\nHost: localhost\r\n\r\n")] // and then nothing
    [InlineData("\x16\x03\x01\x02")] // a TLS handshake's beginning
    public async Task I8_A_crowd_of_strangers_larger_than_the_descriptors_ends_nothing_and_keeps_nobody_out(string says)
    {
        await using var server = await StartAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        var polling = new HttpUser(server.Http, "carol").GetAsync("/inbox?wait=30");
        await Deadline.UntilAsync(() => new HttpUser(server.Http, "alice").SeesOnlineAsync("carol"), "the long poll");
        var before = server.Handles;

        await ConnectAsync(server, Crowd, says);
        await using var bob = await ChatClient.ConnectAsync(server.Url, "bob");
        for (var i = 0; i < 20; i++)
        {
            Assert.Equal(200, (await AskAsync(server, "/health")).Status); // on a connection of its own each
            await ConnectAsync(server, 10, says);
            await alice.SendAndConfirmAsync("bob", $"{i}");
            Assert.Equal($"{i}", (await bob.ExpectAsync("message")).Body);
            Assert.InRange(server.Handles, 0, Descriptors - 1);
        }

        await alice.SendAndConfirmAsync("carol", "hi");
        Assert.Equal("hi", Assert.Single((await polling).Messages).Body); // a user's request is no stranger's connection
        Disperse();
        await Deadline.UntilAsync(() => Task.FromResult(server.Handles <= before + 20), "the descriptors are back");
        Assert.Empty(server.Errors);
        Assert.Contains(server.Output, line => line.Contains("127.0.0.1 was refused: connection_displaced.", StringComparison.Ordinal));
    }

    [Fact]
    public async Task I8_WebSockets_of_users_in_masses_stop_at_what_the_process_can_hold()
    {
        await using var server = await StartAsync();
        var places = Places(server);
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        await using var bob = await ChatClient.ConnectAsync(server.Url, "bob");
        var before = server.Handles;
        var statuses = new List<int>();
        for (var i = 0; i < Crowd; i++)
        {
            var connection = await RawHttp.ConnectAsync(server.Url);
            _crowd.Add(connection);
            var handshake = new Handshake { Target = $"/chat?user=user{i}" };
            statuses.Add((await connection.AskAsync(handshake.For(server.Url))).Status);
        }

        Assert.Equal(places - 2, statuses.Count(status => status == 101));
        Assert.All(statuses.Skip(places - 2), status => Assert.Equal(503, status));
        Assert.Equal(200, (await AskAsync(server, "/health")).Status);
        await alice.SendAndConfirmAsync("bob", "hi");
        Assert.Equal("hi", (await bob.ExpectAsync("message")).Body);
        Assert.Equal(200, (await new HttpUser(server.Http, "carol").GetAsync("/inbox")).Status); // there is room for requests beside them
        Assert.InRange(server.Handles, 0, Descriptors - 1);

        Disperse();
        await Deadline.UntilAsync(() => Task.FromResult(server.Handles <= before + 20), "the descriptors are back");
        await using var carol = await ChatClient.ConnectAsync(server.Url, "carol");
    }

    [Fact]
    public async Task A_crowd_from_one_address_displaces_its_own()
    {
        if (!OperatingSystem.IsLinux())
            return; // elsewhere 127.0.0.2 is no address of this machine
        await using var server = await StartAsync();
        var slow = new List<RawHttp>(); // from other addresses, and take their time
        foreach (var address in (string[])["127.0.0.1", "127.0.0.3", "127.0.0.4", "127.0.0.5"])
            slow.Add(await RawHttp.ConnectAsync(server.Url, from: IPAddress.Parse(address)));
        _crowd.AddRange(slow);
        for (var i = 0; i < Crowd; i++)
        {
            var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
            _crowd.Add(socket);
            socket.Bind(new IPEndPoint(IPAddress.Parse("127.0.0.2"), 0));
            await socket.ConnectAsync(IPAddress.Loopback, server.Url.Port).OrFail("a TCP connection");
        }

        var displaced = 0;
        foreach (var one in slow)
        {
            try
            {
                Assert.Equal(101, (await one.AskAsync(new Handshake().For(server.Url))).Status);
            }
            catch (IOException)
            {
                displaced++;
            }
        }

        Assert.InRange(displaced, 0, 1); // the server has 256 names for all networks: one of these may have the crowd's
    }

    [Fact]
    public async Task I8_Answers_that_nobody_takes_hold_no_file_open()
    {
        const int Requests = 90;
        await using var server = new ChatProcess
        {
            DatabasePath = _folder.DatabasePath,
            Under = Limited(Descriptors),
            ["Kestrel:EndpointDefaults:Protocols"] = "Http2",
        };
        await server.StartAsync();
        using var stranger = await RawHttp.ConnectAsync(server.Url);
        var before = server.Handles;
        var request = new List<byte>("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8.ToArray());
        Add(type: 4, flags: 0, stream: 0, [0, 4, 0, 0, 0, 0]); // SETTINGS: no answer may have a body, yet (RFC 9113, section 6.9.2)
        byte[] headers = [0x82, 0x86, 0x04, 7, .. "/app.js"u8, 0x01, 9, .. "localhost"u8]; // GET, http (RFC 7541, appendix A)
        for (var i = 0; i < Requests; i++)
            Add(type: 1, flags: 5, stream: (2 * i) + 1, headers);
        await stranger.Stream.WriteAsync(request.ToArray());

        for (var answers = 0; answers < Requests;)
        {
            var head = new byte[9];
            await stranger.Stream.ReadExactlyAsync(head).AsTask().OrFail("an answer's headers");
            await stranger.Stream.ReadExactlyAsync(new byte[(head[0] << 16) | (head[1] << 8) | head[2]]).AsTask().OrFail("their rest");
            answers += head[3] == 1 ? 1 : 0;
        }

        Assert.InRange(server.Handles, 0, before + 20);

        void Add(byte type, byte flags, int stream, byte[] payload) =>
            request.AddRange([0, 0, (byte)payload.Length, type, flags, 0, 0, (byte)(stream >> 8), (byte)stream, .. payload]);
    }

    [Fact]
    public async Task The_start_says_in_one_line_how_many_connections_the_process_can_hold()
    {
        await using (var server = await StartAsync())
        {
            Assert.InRange(Places(server), 32, Descriptors);
            Assert.Equal(200, (await AskAsync(server, "/health")).Status);
        }

        await using var modest = new ChatProcess
        {
            DatabasePath = _folder.DatabasePath,
            Under = Limited(Descriptors),
            ["Chat:MaxConnections"] = "10",
        };
        await modest.StartAsync();
        Assert.DoesNotContain(modest.Output, line => line.Contains("Chat:MaxConnections", StringComparison.Ordinal)); // as it was asked for
    }

    [Fact]
    public async Task Too_few_descriptors_to_serve_anybody_stop_the_start()
    {
        await using var server = new ChatProcess { DatabasePath = _folder.DatabasePath, Under = Limited(300) };
        Assert.Equal(1, await server.RunAsync());
        var line = Assert.Single(server.Errors);
        Assert.Contains("Chat:MaxConnections", line, StringComparison.Ordinal);
        Assert.Contains("300", line, StringComparison.Ordinal);
        Assert.Empty(server.Output);
    }

    [Theory]
    [InlineData(500, 200)]
    [InlineData(1024, 200)]
    [InlineData(1024, 300)]
    [InlineData(20_000, 200)]
    [InlineData(1_048_576, 200)]
    public void The_shares_of_users_and_strangers_and_a_reserve_are_within_the_limit(int limit, int open)
    {
        var capacity = Capacity.Of(wanted: 50_000, limit, open);
        Assert.InRange(open + 100 + capacity.Strangers + capacity.Users, 0, limit);
        Assert.InRange(capacity.Chat, 32, Math.Min(50_000, capacity.Users - 16));
        Assert.InRange(capacity.Strangers, 16, 1024);
        Assert.Throws<StartException>(() => Capacity.Of(wanted: 50_000, limit: open + 250, open));
    }

    [Fact]
    public async Task I8_However_many_newcomers_wait_each_comes_in_behind_the_work_that_is_there_already()
    {
        await using var services = new ServiceCollection().AddMetrics().AddLogging().AddSingleton(TimeProvider.System)
            .AddSingleton<Metrics>().AddSingleton<RefusalLog>().AddSingleton(Capacity.Of(wanted: 100, limit: 1024, open: 200))
            .AddSingleton<Door>().BuildServiceProvider();
        await using var listener = new DoorListener(services.GetRequiredService<Door>(), new Crowded());
        var work = new WorkQueue();
        var before = SynchronizationContext.Current;
        SynchronizationContext.SetSynchronizationContext(work);
        try
        {
            for (var i = 0; i < 3; i++)
            {
                var accepting = listener.AcceptAsync();
                Assert.False(accepting.IsCompleted, "It has not waited.");
                work.RunNext();
                Assert.True(accepting.IsCompletedSuccessfully);
            }
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(before);
        }
    }

    [Fact]
    public async Task A_newcomer_that_never_asks_is_closed_after_a_short_time_and_who_was_answered_is_not()
    {
        var time = new FakeTimeProvider(DateTimeOffset.UnixEpoch.AddYears(56));
        await using var server = await new ChatServer { Time = time }.StartAsync();
        using var silent = await RawHttp.ConnectAsync(server.Url);
        using var dribbling = await RawHttp.ConnectAsync(server.Url);
        await dribbling.Stream.WriteAsync("GET /alive HTTP/1.1\r\n"u8.ToArray());
        using var answered = await RawHttp.ConnectAsync(server.Url);
        var request = $"GET /alive HTTP/1.1\r\nHost: {server.Url.Authority}\r\n\r\n";
        Assert.Equal(200, (await answered.AskAsync(request)).Status);
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");

        await Deadline.UntilAsync(() =>
        {
            time.Advance(TimeSpan.FromSeconds(1));
            return Task.FromResult(server.Log.Entries.Any(entry => entry.Message == "127.0.0.1 was refused: no_request."));
        }, "silent ones are closed");
        await AssertOverAsync(silent);
        await AssertOverAsync(dribbling);
        Assert.Equal(200, (await answered.AskAsync(request)).Status);
        await alice.AssertAliveAsync();
    }

    private async Task<ChatProcess> StartAsync() =>
        await new ChatProcess { DatabasePath = _folder.DatabasePath, Under = Limited(Descriptors) }.StartAsync();

    private static string[] Limited(int descriptors) =>
        ["sh", "-c", string.Create(CultureInfo.InvariantCulture, $"ulimit -n {descriptors}; exec \"$@\""), "sh"];

    /// <summary>What the start said.</summary>
    private static int Places(ChatProcess server)
    {
        var line = Assert.Single(server.Output, line => line.Contains("Chat:MaxConnections", StringComparison.Ordinal));
        return int.Parse(MaxConnections().Match(line).Groups[1].Value, CultureInfo.InvariantCulture);
    }

    /// <summary>So many strangers come, say this, and stay.</summary>
    private async Task ConnectAsync(ChatProcess server, int count, string says)
    {
        var bytes = Encoding.Latin1.GetBytes(says);
        for (var i = 0; i < count; i++)
        {
            var connection = await RawHttp.ConnectAsync(server.Url);
            _crowd.Add(connection);
            try
            {
                await connection.Stream.WriteAsync(bytes);
            }
            catch (IOException) // displaced already
            {
            }
        }
    }

    private void Disperse()
    {
        _crowd.ForEach(one => one.Dispose());
        _crowd.Clear();
    }

    private static async Task<RawResponse> AskAsync(ChatProcess server, string path)
    {
        using var connection = await RawHttp.ConnectAsync(server.Url);
        return await connection.AskAsync($"GET {path} HTTP/1.1\r\nHost: {server.Url.Authority}\r\n\r\n");
    }

    private static async Task AssertOverAsync(RawHttp connection)
    {
        try
        {
            Assert.Equal(0, await connection.Stream.ReadAsync(new byte[1]).AsTask().OrFail("the end"));
        }
        catch (IOException)
        {
            // A reset is an end too.
        }
    }

    [GeneratedRegex(@"Chat:MaxConnections is (\d+)")]
    private static partial Regex MaxConnections();

    /// <summary>An address at which somebody always waits.</summary>
    private sealed class Crowded : IConnectionListener
    {
        public EndPoint EndPoint { get; } = new IPEndPoint(IPAddress.Loopback, 0);

        public ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default) =>
            ValueTask.FromResult<ConnectionContext?>(new DefaultConnectionContext());

        public ValueTask UnbindAsync(CancellationToken cancellationToken = default) => ValueTask.CompletedTask;

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }

    /// <summary>Work that waits for its turn.</summary>
    private sealed class WorkQueue : SynchronizationContext
    {
        private readonly Queue<Action> _work = [];

        public override void Post(SendOrPostCallback d, object? state) => _work.Enqueue(() => d(state));

        public void RunNext() => _work.Dequeue()();
    }
}
