using Microsoft.Data.Sqlite;

namespace SimpleChat.Tests;

/// <summary>Chapter "Settings": a start that cannot succeed ends with exit code 1 and one line that says why.</summary>
public sealed class StartTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_database_that_is_not_there_is_made()
    {
        await using var server = await new ChatProcess { DatabasePath = _folder.DatabasePath }.StartAsync();
        Assert.Equal(201, (await new HttpUser(server.Http, "alice").SendAsync("bob", "hi")).Status);
        Assert.True(File.Exists(_folder.DatabasePath));
        Assert.Empty(server.Errors);
    }

    [Theory]
    [InlineData("Chat:MaxMessageBytes", "many")]
    [InlineData("Chat:MaxMessageBytes", "0")]
    [InlineData("Chat:MaxMessageBytes", "-1")]
    [InlineData("Chat:MessagesPerSecond", "-1")]
    [InlineData("Chat:ConnectionsPerUser", "0")]
    [InlineData("Chat:MaxConnections", "0")]
    [InlineData("Chat:KeepAliveInterval", "soon")]
    [InlineData("Chat:KeepAliveTimeout", "00:00:00")]
    [InlineData("Chat:MessageTimeout", "-00:00:01")]
    [InlineData("Chat:SendTimeout", "00:00:00")]
    [InlineData("Chat:AllowedOrigins:0", "chat.example.org")]
    public async Task A_setting_that_makes_no_sense_stops_it(string key, string value) =>
        await AssertRefusedAsync(new ChatProcess { DatabasePath = _folder.DatabasePath, [key] = value }, key.Split(':')[1]);

    [Theory]
    [InlineData("")]
    [InlineData("nonsense")]
    [InlineData("Data Source=")]
    [InlineData("Data Source=:memory:")]
    public async Task A_connection_string_that_names_no_file_stops_it(string value) =>
        await AssertRefusedAsync(
            new ChatProcess { DatabasePath = _folder.DatabasePath, ["ConnectionStrings:Chat"] = value }, "ConnectionStrings:Chat");

    [Fact]
    public async Task A_setting_from_the_environment_counts()
    {
        await AssertRefusedAsync(
            new ChatProcess { DatabasePath = _folder.DatabasePath, Variables = { ["Chat__MaxConnections"] = "none" } }, "MaxConnections");
    }

    [Fact]
    public async Task A_folder_that_is_not_there_stops_it()
    {
        var path = Path.Combine(_folder.File("nowhere"), "chat.db");
        await AssertRefusedAsync(new ChatProcess { DatabasePath = path }, path);
    }

    [Theory]
    [InlineData(40)]
    [InlineData(100_000)]
    public async Task A_file_that_is_no_database_stops_it_and_stays_as_it_is(int length)
    {
        var garbage = new byte[length];
        new Random(7).NextBytes(garbage);
        await File.WriteAllBytesAsync(_folder.DatabasePath, garbage);
        await AssertRefusedAsync(new ChatProcess { DatabasePath = _folder.DatabasePath }, _folder.DatabasePath);
        Assert.Equal(garbage, await File.ReadAllBytesAsync(_folder.DatabasePath));
    }

    [Fact]
    public async Task A_database_of_something_else_stops_it()
    {
        Execute("CREATE TABLE Recipes (Name TEXT)");
        await AssertRefusedAsync(new ChatProcess { DatabasePath = _folder.DatabasePath }, _folder.DatabasePath);
    }

    [Fact]
    public async Task A_database_of_a_newer_server_stops_it()
    {
        await MakeAsync();
        Execute("PRAGMA user_version = 4711");
        await AssertRefusedAsync(new ChatProcess { DatabasePath = _folder.DatabasePath }, "4711");
    }

    [Theory]
    [InlineData(0.9)]
    [InlineData(0.5)]
    [InlineData(0.1)]
    public async Task A_truncated_database_stops_it(double rest)
    {
        await MakeAsync();
        await using (var file = File.OpenWrite(_folder.DatabasePath))
            file.SetLength((long)(file.Length * rest) / 4096 * 4096);
        await AssertRefusedAsync(new ChatProcess { DatabasePath = _folder.DatabasePath }, _folder.DatabasePath);
    }

    [Fact]
    public async Task A_database_that_is_read_only_stops_it()
    {
        if (OperatingSystem.IsWindows())
            return;
        await MakeAsync();
        const UnixFileMode ReadOnly = UnixFileMode.UserRead | UnixFileMode.GroupRead | UnixFileMode.OtherRead;
        File.SetUnixFileMode(_folder.DatabasePath, ReadOnly); // which holds back everybody but root, and root is told too
        await AssertRefusedAsync(new ChatProcess { DatabasePath = _folder.DatabasePath }, _folder.DatabasePath);
        Assert.Equal(ReadOnly, File.GetUnixFileMode(_folder.DatabasePath));
    }

    [Fact]
    public async Task A_second_server_on_the_same_file_is_stopped_and_the_first_goes_on()
    {
        await using var first = await new ChatProcess { DatabasePath = _folder.DatabasePath }.StartAsync();
        var alice = new HttpUser(first.Http, "alice");
        await alice.SendAsync("bob", "one");
        await AssertRefusedAsync(new ChatProcess { DatabasePath = _folder.DatabasePath }, _folder.DatabasePath);
        var link = _folder.File("link.db");
        File.CreateSymbolicLink(link, _folder.DatabasePath);
        await AssertRefusedAsync(new ChatProcess { DatabasePath = link }, _folder.DatabasePath);
        Assert.Equal(201, (await alice.SendAsync("bob", "two")).Status);

        first.Kill();
        await first.ExitAsync();
        await using var third = await new ChatProcess { DatabasePath = _folder.DatabasePath }.StartAsync();
        Assert.Equal(["one", "two"], (await new HttpUser(third.Http, "bob").InboxAsync()).Select(message => message.Body));
    }

    [Fact]
    public async Task Outside_Development_it_does_not_start_without_a_way_to_know_its_users() =>
        await AssertRefusedAsync(
            new ChatProcess { DatabasePath = _folder.DatabasePath, Environment = "Production" }, "Authentication:Schemes:Bearer");

    [Fact]
    public async Task With_a_way_to_know_its_users_it_starts_in_Production()
    {
        var jwt = new Jwt();
        await using var server = new ChatProcess { DatabasePath = _folder.DatabasePath, Environment = "Production" };
        foreach (var (key, value) in jwt.Settings)
            server[key] = value;
        await server.StartAsync();
        Assert.Equal(200, (await new HttpUser(server.Http, null, jwt.Token("alice")).GetAsync("/inbox")).Status);
        (await new HttpUser(server.Http, "alice").GetAsync("/inbox")).AssertProblem(401);
    }

    private static async Task AssertRefusedAsync(ChatProcess server, string named)
    {
        await using var ending = server;
        Assert.Equal(1, await server.RunAsync());
        Assert.Contains(named, Assert.Single(server.Errors), StringComparison.Ordinal);
        Assert.DoesNotContain(server.Output, line => line.TrimStart().StartsWith("at ", StringComparison.Ordinal)); // no stack trace
    }

    /// <summary>A database of some hundred pages, all in the one file.</summary>
    private async Task MakeAsync()
    {
        await using (var server = await new ChatServer { InMemory = true, ["Chat:MessagesPerSecond"] = "0" }.StartAsync())
        {
            var alice = new HttpUser(server.Http, "alice");
            await Task.WhenAll(Enumerable.Range(0, 200).Select(i => alice.SendAsync("bob", $"{i} {new string('x', 5000)}")));
            await server.StopAsync();
            File.Copy(server.DatabasePath, _folder.DatabasePath);
            if (File.Exists(server.DatabasePath + "-wal"))
                File.Copy(server.DatabasePath + "-wal", _folder.DatabasePath + "-wal");
        }

        Execute("PRAGMA wal_checkpoint(TRUNCATE)");
        Assert.InRange(new FileInfo(_folder.DatabasePath).Length, 500_000, 5_000_000);
    }

    private void Execute(string sql)
    {
        using var connection = new SqliteConnection($"Data Source={_folder.DatabasePath};Pooling=False");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }
}
