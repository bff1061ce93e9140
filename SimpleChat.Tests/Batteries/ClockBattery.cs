using System.Net.WebSockets;
using Microsoft.Extensions.Time.Testing;
using Microsoft.IdentityModel.JsonWebTokens;
using Xunit.Abstractions;

namespace SimpleChat.Tests.Batteries;

/// <summary>
/// The server's clock jumps, as clocks do. The long run: <c>ROUNDS=2000 dotnet test -c Release --filter ClockBattery</c>.
/// </summary>
[Trait("Category", Battery.Category)]
public sealed class ClockBattery(ITestOutputHelper output)
{
    /// <summary>How often the server looks at its clock.</summary>
    private static readonly TimeSpan s_look = TimeSpan.FromSeconds(.2);

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
        var machine = new FakeTimeProvider(TimeProvider.System.GetUtcNow());
        var clock = new JumpingClock(machine);
        await using var server = await StartAsync(clock);
        var life = TimeSpan.FromSeconds(3);
        var token = _jwt.Token("alice", life);
        await using var alice = await ConnectAsync(server, token);
        clock.Jump(TimeSpan.FromMinutes(-30));

        // The machine's time goes by until after she would have been cut off. The token may be younger than the machine's time.
        var due = new JsonWebToken(token).ValidTo.AddSeconds(1);
        while (machine.GetUtcNow() < due)
        {
            machine.Advance(s_look);
            await alice.AssertAliveAsync();
        }

        clock.Jump(TimeSpan.FromMinutes(30));
        machine.Advance(s_look);
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
        new ChatServer { Environment = "Production", Time = clock, ["Chat:KeepAliveInterval"] = $"{s_look}" }
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

    /// <summary>A machine's clock, set back and forward; its timers and its stopwatch run on.</summary>
    /// <param name="machine">The machine's time; the system's if left out.</param>
    private sealed class JumpingClock(TimeProvider? machine = null) : TimeProvider
    {
        private readonly TimeProvider _machine = machine ?? System;
        private long _offset;

        public override long TimestampFrequency => _machine.TimestampFrequency;

        public override DateTimeOffset GetUtcNow() => _machine.GetUtcNow().AddTicks(Interlocked.Read(ref _offset));

        public override long GetTimestamp() => _machine.GetTimestamp();

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
            _machine.CreateTimer(callback, state, dueTime, period);

        public void Jump(TimeSpan by) => Interlocked.Add(ref _offset, by.Ticks);
    }
}
