using System.Net.WebSockets;
using Xunit.Abstractions;

namespace SimpleChat.Tests.Batteries;

/// <summary>
/// The server's clock jumps, as clocks do. The long run: <c>ROUNDS=2000 dotnet test -c Release --filter ClockBattery</c>.
/// </summary>
[Trait("Category", Battery.Category)]
public sealed class ClockBattery(ITestOutputHelper output)
{
    private readonly Jwt _jwt = new();

    [Fact]
    public async Task However_the_clock_jumps_sentAt_never_falls_and_nobody_is_cut_off()
    {
        var random = new Random(Battery.Seed(output));
        var rounds = Battery.Rounds(60);
        var clock = new JumpingClock();
        await using var server = await new ChatServer { Time = clock, ["Chat:MessagesPerSecond"] = "0" }.StartAsync();
        var sent = new List<Frame>();
        var restarts = 0;
        while (sent.Count < rounds)
        {
            await using (var alice = await ChatClient.ConnectAsync(server.Url, "alice"))
            await using (var bob = await ChatClient.ConnectAsync(server.Url, "bob", "chat.ack", after: sent.Count == 0 ? 0 : sent[^1].Id))
            {
                for (var i = 0; i < 20; i++)
                {
                    clock.Jump(TimeSpan.FromMinutes(random.Next(-20_000, 20_000)));
                    sent.Add(await alice.SendAndConfirmAsync("bob", "hi"));
                    var pushed = await bob.ExpectAsync("message");
                    Assert.Equal((sent[^1].Id, sent[^1].SentAtAsWritten), (pushed.Id, pushed.SentAtAsWritten));
                }

                await alice.AssertAliveAsync();
            }

            clock.Jump(TimeSpan.FromMinutes(random.Next(-20_000, 20_000)));
            await server.RestartAsync();
            restarts++;
        }

        Assert.All(sent.Zip(sent.Skip(1)),
            pair => Assert.True(pair.First.SentAt <= pair.Second.SentAt, $"{pair.First} and then {pair.Second}"));
        Assert.Empty(server.Log.Faults);
        output.WriteLine($"{sent.Count} jumps of up to two weeks, {restarts} restarts");
    }

    [Fact]
    public async Task A_clock_set_back_cuts_nobody_off_and_once_it_is_right_again_what_expired_ends()
    {
        var clock = new JumpingClock();
        await using var server = await StartAsync(clock);
        var life = TimeSpan.FromSeconds(3);
        var token = _jwt.Token("alice", life);
        await using var alice = await ConnectAsync(server, token);
        clock.Jump(TimeSpan.FromMinutes(-30));

        var issued = clock.GetTimestamp();
        await Deadline.UntilAsync(async () =>
        {
            await alice.AssertAliveAsync();
            return clock.GetElapsedTime(issued) > life + TimeSpan.FromSeconds(1);
        }, "the time at which she would have been cut off");

        clock.Jump(TimeSpan.FromMinutes(30));
        await AssertEndsAsync(server, alice, token);
    }

    [Fact]
    public async Task A_clock_set_past_a_tokens_end_ends_what_is_open_with_it_and_refuses_it()
    {
        var clock = new JumpingClock();
        await using var server = await StartAsync(clock);
        var token = _jwt.Token("alice", TimeSpan.FromHours(1));
        await using var alice = await ConnectAsync(server, token);
        using var stream = await server.Http
            .GetAsync($"/inbox/stream?access_token={token}", HttpCompletionOption.ResponseHeadersRead).OrFail("the headers");
        Assert.Equal(200, (int)stream.StatusCode);

        clock.Jump(TimeSpan.FromHours(2));
        await AssertEndsAsync(server, alice, token);
        await stream.Content.ReadAsStringAsync().OrFail("the end of the stream");
    }

    private Task<ChatServer> StartAsync(JumpingClock clock) =>
        new ChatServer { Environment = "Production", Time = clock, ["Chat:KeepAliveInterval"] = "00:00:00.2" }
            .With(_jwt.Settings).StartAsync();

    private static Task<ChatClient> ConnectAsync(ChatServer server, string token) =>
        ChatClient.ConnectAsync(server.Url, null, configure: options =>
            options.SetRequestHeader("Authorization", $"Bearer {token}"));

    private static async Task AssertEndsAsync(ChatServer server, ChatClient client, string token)
    {
        Assert.Equal((int)WebSocketCloseStatus.PolicyViolation, (await client.ReceiveUntilCloseAsync()).Code);
        (await new HttpUser(server.Http, null, token).GetAsync("/inbox")).AssertProblem(401);
        Assert.Empty(server.Log.Faults);
    }

    /// <summary>The system's clock, set back and forward; its timers and its stopwatch run on, as a machine's do.</summary>
    private sealed class JumpingClock : TimeProvider
    {
        private long _offset;

        public override DateTimeOffset GetUtcNow() => System.GetUtcNow().AddTicks(Interlocked.Read(ref _offset));

        public void Jump(TimeSpan by) => Interlocked.Add(ref _offset, by.Ticks);
    }
}
