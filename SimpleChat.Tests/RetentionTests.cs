using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Time.Testing;

namespace SimpleChat.Tests;

/// <summary>Chapter "Settings", <c>Chat:RetainDays</c>; and messages that somebody erases by hand.</summary>
public sealed class RetentionTests
{
    private static readonly string[] Tables = ["MessageDB", "MessageDB_ByUser", "MessageDB_ByConversation", "MessageDB_ByClientMessageId"];

    [Fact]
    public async Task Delivered_messages_that_are_older_are_erased_with_all_that_stands_beside_them_and_undelivered_ones_are_not()
    {
        var time = new FakeTimeProvider(DateTimeOffset.UtcNow);
        await using var server =
            await new ChatServer { InMemory = true, Time = time, ["Chat:RetainDays"] = "2", ["Chat:MessagesPerSecond"] = "0" }.StartAsync();
        var (alice, bob) = (new HttpUser(server.Http, "alice"), new HttpUser(server.Http, "bob"));
        for (var i = 0; i < 200; i++)
            Assert.Equal(201, (await alice.SendAsync("bob", $"{i}", $"name {i}")).Status);
        for (var acked = 0; acked < 199;)
        {
            var ids = (await bob.InboxAsync()).Select(message => message.Id).Where(id => id != 100).ToArray();
            Assert.Equal(204, (await bob.AckAsync(ids)).Status);
            acked += ids.Length;
        }

        time.Advance(TimeSpan.FromDays(1));
        Assert.Equal(201, (await alice.SendAsync("bob", "young", "young")).Status);
        time.Advance(TimeSpan.FromDays(1) + TimeSpan.FromHours(1));
        await Deadline.UntilAsync(() => Task.FromResult(Ids(server, "MessageDB").SequenceEqual([100, 201])), "the erasure");

        Assert.Equal(["99", "young"], (await bob.InboxAsync()).Select(message => message.Body));
        Assert.Equal(200, (await alice.SendAsync("bob", "young", "young")).Status);
        var again = await alice.SendAsync("bob", "0", "name 0"); // the first one is not kept any more
        Assert.Equal((201, 202), (again.Status, again.Json.Id));
        await server.RestartAsync(); // which indexes what is left
        Assert.All(Tables, table => Assert.Equal([100, 201, 202], Ids(server, table)));
    }

    [Fact]
    public async Task By_default_everything_is_kept()
    {
        var time = new FakeTimeProvider(DateTimeOffset.UtcNow);
        await using var server = await new ChatServer { InMemory = true, Time = time }.StartAsync();
        await new HttpUser(server.Http, "alice").SendAsync("bob", "hi");
        await new HttpUser(server.Http, "bob").AckAsync(1);
        time.AdjustTime(time.GetUtcNow().AddDays(10_000)); // at once: to advance would be to tick through all of it
        await server.RestartAsync();
        Assert.Equal([1], Ids(server, "MessageDB"));
    }

    [Fact]
    public async Task A_message_that_an_operator_erases_takes_along_what_stands_beside_it_and_harms_nothing()
    {
        using var folder = new TempFolder();
        await using var server = await new ChatProcess { DatabasePath = folder.DatabasePath }.StartAsync();
        var (alice, bob) = (new HttpUser(server.Http, "alice"), new HttpUser(server.Http, "bob"));
        foreach (var text in (string[])["one", "two", "three"])
            Assert.Equal(201, (await alice.SendAsync("bob", text, text)).Status);
        Execute(folder.DatabasePath, "DELETE FROM MessageDB WHERE Id IN (1, 3)");

        Assert.Equal(["two"], (await bob.InboxAsync()).Select(message => message.Body));
        Assert.Equal(204, (await bob.AckAsync(1, 2, 3)).Status);
        var again = await alice.SendAsync("bob", "one", "one");
        Assert.Equal((201, 4), (again.Status, again.Json.Id));
        again = await alice.SendAsync("bob", "one", "one");
        Assert.Equal((200, 4), (again.Status, again.Json.Id));
        server.Kill();
        await server.ExitAsync();

        await using var next = await new ChatProcess { DatabasePath = folder.DatabasePath }.StartAsync();
        Execute(folder.DatabasePath, "DELETE FROM MessageDB WHERE Id = 2"); // indexed by now
        again = await new HttpUser(next.Http, "alice").SendAsync("bob", "one", "one");
        Assert.Equal((200, 4), (again.Status, again.Json.Id));
        Assert.All(Tables, table => Assert.Equal([4], Ids(folder.DatabasePath, table)));
    }

    private static List<long> Ids(ChatServer server, string table) => Ids(server.DatabasePath, table);

    private static List<long> Ids(string path, string table)
    {
        using var connection = new SqliteConnection($"Data Source={path};Pooling=False");
        connection.Open();
        using var select = connection.CreateCommand();
        select.CommandText = table == "MessageDB"
            ? "SELECT Id FROM MessageDB ORDER BY Id"
            : $"SELECT DISTINCT MessageId FROM {table} ORDER BY MessageId";
        using var row = select.ExecuteReader();
        var ids = new List<long>();
        while (row.Read())
            ids.Add(row.GetInt64(0));
        return ids;
    }

    private static void Execute(string path, string sql)
    {
        using var connection = new SqliteConnection($"Data Source={path};Pooling=False");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }
}
