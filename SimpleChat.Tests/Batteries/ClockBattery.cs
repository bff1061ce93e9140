using Xunit.Abstractions;

namespace SimpleChat.Tests.Batteries;

/// <summary>The server's clock jumps, as clocks do. The long run: <c>ROUNDS=5000 dotnet test -c Release --filter ClockBattery</c>.</summary>
[Trait("Category", Battery.Category)]
public sealed class ClockBattery(ITestOutputHelper output)
{
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

        Assert.All(sent.Zip(sent.Skip(1)), pair => Assert.True(pair.First.SentAt <= pair.Second.SentAt, $"{pair.First} and then {pair.Second}"));
        Assert.Empty(server.Log.Faults);
        output.WriteLine($"{sent.Count} jumps of up to two weeks, {restarts} restarts");
    }

    [Fact]
    public async Task A_clock_set_back_cuts_nobody_off_and_one_past_a_tokens_end_refuses_the_token()
    {
        var issuer = new Jwt();
        var clock = new JumpingClock();
        await using var server = new ChatServer { Environment = "Production", Time = clock };
        foreach (var (key, value) in issuer.Settings)
            server[key] = value;
        await server.StartAsync();
        var token = issuer.Token("alice", TimeSpan.FromHours(1));

        await using (var alice = await ConnectAsync())
        {
            clock.Jump(TimeSpan.FromMinutes(-30));
            await alice.AssertAliveAsync();
        }

        clock.Jump(TimeSpan.FromHours(2));
        var refused = await new HttpUser(server.Http, null, token).GetAsync("/inbox");
        refused.AssertProblem(401);

        Task<ChatClient> ConnectAsync() => ChatClient.ConnectAsync(server.Url, null, configure: options =>
            options.SetRequestHeader("Authorization", $"Bearer {token}"));
    }

    /// <summary>The system's clock, set back and forward; its timers and its stopwatch run on, as a machine's do.</summary>
    private sealed class JumpingClock : TimeProvider
    {
        private long _offset;

        public override DateTimeOffset GetUtcNow() => System.GetUtcNow().AddTicks(Interlocked.Read(ref _offset));

        public void Jump(TimeSpan by) => Interlocked.Add(ref _offset, by.Ticks);
    }
}
