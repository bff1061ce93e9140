using System.Diagnostics;
using Npgsql;

namespace SimpleChat.Tests;

/// <summary>
/// What only several nodes can get wrong. Whoever connects to <see cref="ChatServer.Url"/> is on the other node than the one before.
/// </summary>
public sealed class TwoNodesTests
{
    [Fact]
    public async Task I6_One_clientMessageId_sent_to_two_nodes_at_once_is_one_message()
    {
        await using var server = await new ChatServer { ["Chat:MessagesPerSecond"] = "0" }.StartAsync();
        await using var here = await ChatClient.ConnectAsync(server.Url, "alice");
        await using var there = await ChatClient.ConnectAsync(server.Url, "alice");
        await using var bob = await ChatClient.ConnectAsync(server.Url, "bob");
        var times = Batteries.Battery.Rounds(50);
        for (var i = 0; i < times; i++)
        {
            await Task.WhenAll(here.SendAsync("bob", $"{i}", $"{i}"), there.SendAsync("bob", $"{i}", $"{i}"));
            var (one, other) = (await here.FindAsync("sent"), await there.FindAsync("sent"));
            Assert.Equal((one.Id, one.SentAt), (other.Id, other.SentAt));
        }

        Assert.Equal(Enumerable.Range(0, times).Select(i => $"{i}"), (await bob.MessagesAsync(times)).Select(message => message.Body));
        Assert.Equal(times, await server.CountAsync("SELECT count(*) FROM MessageDB"));
    }

    [Fact]
    public async Task SentAt_never_falls_and_is_not_ahead_of_time_with_the_nodes_clocks_an_hour_apart_from_the_right_one()
    {
        await using var server = await new ChatServer
        {
            TimeOf = node => new WrongClock(TimeSpan.FromHours(node == 0 ? -1 : 1)),
            ["Chat:MessagesPerSecond"] = "0",
        }.StartAsync();
        var alice = new HttpUser(server.Http, "alice");
        var sent = new List<Frame>();
        for (var i = 0; i < 40; i++)
            sent.Add((await alice.SendAsync("bob", $"{i}")).Json);
        Assert.All(sent.Zip(sent.Skip(1)), pair => Assert.True(
            pair.First.Id < pair.Second.Id && pair.First.SentAt <= pair.Second.SentAt, $"{pair.First} and then {pair.Second}"));
        Assert.True(sent[^1].SentAt < DateTimeOffset.UtcNow.AddSeconds(1), $"{sent[^1]}");
    }

    [Fact]
    public async Task Presence_and_the_limit_of_connections_count_on_all_nodes()
    {
        await using var server = await new ChatServer { ["Chat:ConnectionsPerUser"] = "2" }.StartAsync();
        var http = new HttpUser(server.Http, "carol");
        var one = await ChatClient.ConnectAsync(server.Url, "alice");
        var two = await ChatClient.ConnectAsync(server.Url, "alice");
        for (var i = 0; i < 2; i++)
        {
            Assert.True(await http.SeesOnlineAsync("alice"));
            (await RawHttp.AskAsync(server.Url, new Handshake())).AssertProblem(429);
        }

        await one.DisposeAsync();
        await two.DisposeAsync();
        await Deadline.UntilAsync(
            async () => !await http.SeesOnlineAsync("alice") && !await http.SeesOnlineAsync("alice"), "alice to be away");
        await using var again = await ChatClient.ConnectAsync(server.Url, "alice");
        await using var andAgain = await ChatClient.ConnectAsync(server.Url, "alice");
    }

    [Fact]
    public async Task The_limit_of_messages_counts_on_all_nodes()
    {
        await using var server = await new ChatServer { ["Chat:MessagesPerSecond"] = "5" }.StartAsync();
        var alice = new HttpUser(server.Http, "alice");
        var started = Stopwatch.GetTimestamp();
        var stored = 0;
        for (var i = 0; i < 40; i++)
            stored += (await alice.SendAsync("bob", $"{i}")).Status == 201 ? 1 : 0;
        Assert.InRange(stored, 10, 11 + (5 * Stopwatch.GetElapsedTime(started).TotalSeconds));
    }

    [Fact]
    public async Task I3_While_Redis_is_away_messages_still_come_in_order_and_an_empty_one_is_filled_again()
    {
        using var engines = new Engines();
        await using var server = await new ChatServer { Engines = engines, ["Chat:MessagesPerSecond"] = "0" }.StartAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        await using var bob = await ChatClient.ConnectAsync(server.Url, "bob");
        var http = new HttpUser(server.Http, "carol");
        await alice.SendAndConfirmAsync("bob", "before");
        Assert.Equal("before", (await bob.MessagesAsync(1))[0].Body);

        engines.KillRedis();
        await Deadline.UntilAsync(async () => (await http.GetAsync("/users/dave/presence")).Status == 503, "Redis to be missed");
        var times = new List<TimeSpan>();
        for (var i = 0; i < 20; i++)
        {
            var started = Stopwatch.GetTimestamp();
            await alice.SendAndConfirmAsync("bob", $"{i}");
            Assert.Equal($"{i}", (await bob.MessagesAsync(1))[0].Body);
            times.Add(Stopwatch.GetElapsedTime(started));
        }

        Assert.True(times.Order().ElementAt(18) < TimeSpan.FromMilliseconds(500), $"Pushes took {string.Join(' ', times)}."); // by the look
        engines.StartRedis();
        await Deadline.UntilAsync(async () => await IsOnlineAsync() && await IsOnlineAsync(), "the map to be full again");
        await alice.SendAndConfirmAsync("bob", "after");
        Assert.Equal("after", (await bob.MessagesAsync(1))[0].Body);

        async Task<bool> IsOnlineAsync() =>
            await http.GetAsync("/users/bob/presence") is { Status: 200 } answer && answer.Json.Json.GetProperty("online").GetBoolean();
    }

    [Theory]
    [InlineData("--ConnectionStrings:Postgres=Host=127.0.0.1;Port=1;Username=x;Database=x", "cannot be used")]
    [InlineData("--ConnectionStrings:Postgres=", "ConnectionStrings:Postgres is missing")]
    [InlineData("--ConnectionStrings:Redis=127.0.0.1:1,connectTimeout=500", "Redis cannot be reached")]
    [InlineData("--ScaleOut:Role=other", "ScaleOut:Role is 'other'")]
    [InlineData("ALTER DATABASE {0} SET synchronous_commit = off", "synchronous_commit=off")]
    [InlineData("CREATE TABLE MessageDB_Schema AS SELECT 99 AS Version", "schema version 99")]
    public async Task A_node_that_cannot_serve_safely_ends_with_one_line_and_exit_code_1(string wrong, string why)
    {
        var postgres = Engines.Shared.NewDatabase();
        var name = new NpgsqlConnectionStringBuilder(postgres).Database!;
        if (wrong[0] != '-')
            Engines.Shared.Execute(name, wrong.Replace("{0}", name, StringComparison.Ordinal));
        var (code, said) = await Tool.RunAsync("dotnet",
            Path.Combine(AppContext.BaseDirectory, "SimpleChat.ScaleOut.dll"),
            "--environment", "Development", "--urls", "http://127.0.0.1:0",
            $"--ConnectionStrings:Postgres={postgres}", $"--ConnectionStrings:Redis={Engines.Shared.NewRedis()}", wrong);
        Assert.Equal(1, code);
        Assert.Contains(why, Assert.Single(said.Split('\n')), StringComparison.Ordinal);
    }

    private sealed class WrongClock(TimeSpan by) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => System.GetUtcNow() + by;
    }
}
