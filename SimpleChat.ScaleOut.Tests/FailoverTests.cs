using System.Diagnostics;
using SimpleChat.Tests.Batteries;

namespace SimpleChat.Tests;

/// <summary>A Redis that dies and has a replica.</summary>
[Trait("Category", Battery.Category)]
public sealed class FailoverTests
{
    [Fact]
    public async Task I1_I3_A_Redis_that_fails_over_to_its_replica_loses_nothing_and_delays_no_push_by_more_than_a_lost_announcement_does()
    {
        await using var redis = await RedisPair.StartAsync(Engines.Shared);
        await using var server = await new ChatServer { Redis = redis.ConnectionString, ["Chat:MessagesPerSecond"] = "0" }.StartAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        await using var bob = await ChatClient.ConnectAsync(server.Url, "bob");
        var http = new HttpUser(server.Http, "carol");
        List<long> sent = [];
        List<TimeSpan> times = [];
        await PushAsync();
        redis.KillMaster();
        var failing = redis.FailOverAsync();
        while (!failing.IsCompleted)
            await PushAsync();
        await failing;
        var clock = Stopwatch.StartNew();
        while (!await IsOnlineAsync() || !await IsOnlineAsync())
            await PushAsync();
        Assert.InRange(clock.Elapsed.TotalSeconds, 0, 5.5); // until presence is right again
        Assert.True(times.Max() < TimeSpan.FromSeconds(1.5), $"Pushes took {string.Join(' ', times)}.");

        times.Clear();
        for (var i = 0; i < 20; i++)
            await PushAsync();
        Assert.InRange(times.Order().ElementAt(10).TotalSeconds, 0, 0.05); // announced, and not found by a look
        var delivered = new HashSet<long>();
        while (!delivered.IsSupersetOf(sent))
            delivered.Add((await alice.FindAsync("delivered")).Id);

        async Task PushAsync()
        {
            var started = Stopwatch.GetTimestamp();
            sent.Add((await alice.SendAndConfirmAsync("bob", "hi")).Id);
            Assert.Equal(sent[^1], (await bob.FindAsync("message")).Id);
            times.Add(Stopwatch.GetElapsedTime(started));
        }

        async Task<bool> IsOnlineAsync() => await http.GetAsync("/users/bob/presence") is { Status: 200 } answer
            && answer.Json.Json.GetProperty("online").GetBoolean();
    }
}
