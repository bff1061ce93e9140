using System.Text;
using Dapper;
using Microsoft.Data.Sqlite;
using SimpleChat.Operations;
using SimpleChat.Tests.Batteries;

namespace SimpleChat.Tests;

/// <summary>What an operator does to the database, most of it while the server runs: backup, restore, erasure, upgrade.</summary>
public sealed class OperationsTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_backup_under_load_has_all_that_was_confirmed_before_it_and_nothing_in_part()
    {
        await using var server = await StartAsync(_folder.DatabasePath);
        await using var load = new Load(server, pairs: 4);
        await load.ConfirmedAsync(200);
        var before = load.Confirmed;
        var (code, said) = await RunAsync("backup", _folder.File("backup.db"));
        Assert.Equal(0, code);
        await load.ConfirmedAsync(load.Confirmed + 20); // it goes on
        await load.StopAsync();

        using var copy = Open("backup.db");
        Assert.Equal("ok", Ask<string>(copy, "PRAGMA integrity_check"));
        var last = Ask<long>(copy, "SELECT max(Id) FROM MessageDB");
        Assert.InRange(last, before, load.Confirmed);
        Assert.Equal(last, Ask<long>(copy, "SELECT count(*) FROM MessageDB"));
        Assert.Equal(last, Ask<long>(copy, "SELECT count(*) FROM InboxDB JOIN MessageDB ON Id = MessageId")); // nobody acknowledges here
        Assert.Equal(last, Ask<long>(copy, "SELECT seq FROM sqlite_sequence WHERE name = 'MessageDB'"));
        Assert.Contains($"{last} messages", said, StringComparison.Ordinal);
        if (!OperatingSystem.IsWindows())
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(_folder.File("backup.db")));
    }

    [Fact]
    public async Task I11_After_a_restore_a_client_that_knows_more_than_the_backup_is_told_and_misses_nothing_silently()
    {
        Frame known, lost;
        await using (var server = await StartAsync(_folder.DatabasePath))
        {
            var alice = new HttpUser(server.Http, "alice");
            known = (await alice.SendAsync("bob", "in the backup")).Json;
            Assert.Equal(0, (await RunAsync("backup", _folder.File("backup.db"))).Code);
            lost = (await alice.SendAsync("bob", "after it")).Json;
            server.Kill();
            await server.ExitAsync();
        }

        foreach (var file in Directory.GetFiles(_folder.File(""), "chat.db*"))
            File.Delete(file);
        File.Move(_folder.File("backup.db"), _folder.DatabasePath);
        await using var restored = await StartAsync(_folder.DatabasePath);
        var carol = new HttpUser(restored.Http, "carol");
        var again = (await carol.SendAsync("bob", "under the same id")).Json;
        Assert.Equal(lost.Id, again.Id);
        (await new HttpUser(restored.Http, "bob").GetAsync($"/messages?after={lost.Position}")).AssertProblem(409, "unknown_position");
        await using var bob = await ChatClient.ConnectAsync(restored.Url, "bob", position: known.Position);
        Assert.Equal("under the same id", (await bob.ExpectAsync("message")).Body);
    }

    [Fact]
    public async Task Erasing_a_user_beside_a_running_server_leaves_nothing_of_the_user_and_everything_of_the_others()
    {
        await using var server = await StartAsync(_folder.DatabasePath);
        HttpUser alice = new(server.Http, "alice"), bob = new(server.Http, "bob"), carol = new(server.Http, "carol");
        for (var i = 0; i < 40; i++)
        {
            await alice.SendAsync("bob", $"bobs-secret {i}");
            await bob.SendAsync("carol", $"bobs-secret {i}", $"{i}");
            await carol.SendAsync("alice", $"carols-own {i}");
        }

        await using var load = new Load(server, pairs: 2);
        await load.ConfirmedAsync(20);
        var (code, said) = await RunAsync("erase", "bob");
        Assert.Equal((0, true), (code, said.StartsWith("Erased 80 messages", StringComparison.Ordinal)));
        await load.ConfirmedAsync(load.Confirmed + 20);
        await load.StopAsync(); // none of it was refused

        Assert.Empty(await bob.InboxAsync());
        Assert.Empty((await alice.GetAsync("/messages?with=bob")).Messages);
        Assert.Equal(40, (await alice.GetAsync("/messages?with=carol&limit=200")).Messages.Count);
        Assert.Equal(0, (await RunAsync("backup", _folder.File("backup.db"))).Code);
        var bytes = await File.ReadAllBytesAsync(_folder.File("backup.db")); // which has no free space
        Assert.True(bytes.AsSpan().IndexOf("bobs-secret"u8) < 0 && bytes.AsSpan().IndexOf("carols-own"u8) > 0);

        server.Terminate();
        Assert.Equal(0, await server.ExitAsync());
        using var database = Open("chat.db");
        Assert.Equal("ok", Ask<string>(database, "PRAGMA integrity_check"));
        Assert.Equal(40, Ask<long>(database, "SELECT count(*) FROM MessageDB WHERE Sender = 'carol' AND Recipient = 'alice'"));
    }

    [Fact]
    public async Task What_is_erased_before_a_running_server_has_indexed_it_is_never_indexed()
    {
        var address = DatabaseAddress.Parse($"Data Source={_folder.DatabasePath}");
        using var database = new Database($"Data Source={_folder.DatabasePath}");
        database.Open().Dispose();
        using (var writer = new Transaction(database))
        {
            Send(writer, "alice", "bob", 25, "a");
            Send(writer, "bob", "alice", 25, "b");
            Assert.StartsWith("Erased 50 messages", await Erasure.EraseAsync(address, "bob"), StringComparison.Ordinal);
            for (var sent = 0; sent < 2 * MessageIndex.LotSize; sent += 400)
                Send(writer, "carol", "dave", 400, $"c{sent}-");
            Assert.Equal((0, 0, 0), (Left("MessageDB_ByConversation"), Left("MessageDB_ByUser"), Left("MessageDB_ByClientMessageId")));
        }

        using (database.Reopen()) // indexes the rest
        {
            using var connection = database.OpenReader();
            var others = connection.QuerySingle<long>("SELECT count(*) FROM MessageDB");
            Assert.Equal(others, connection.QuerySingle<long>("SELECT count(*) FROM MessageDB_ByConversation WHERE User1 = 'carol'"));
            Assert.Equal(others, connection.QuerySingle<long>("SELECT count(*) FROM MessageDB_ByClientMessageId WHERE Sender = 'carol'"));
        }

        long Left(string index)
        {
            using var connection = database.OpenReader();
            return connection.QuerySingle<long>($"SELECT count(*) FROM {index} WHERE MessageId <= 50");
        }

        static void Send(Transaction writer, string from, string to, int count, string name)
        {
            writer.Begin();
            for (var i = 0; i < count; i++)
                writer.Insert(new Draft(from, to, "hi"u8.ToArray(), $"{name}{i}", ReceivedAt: 1));
            writer.Commit();
        }
    }

    [Fact]
    public async Task What_was_erased_is_overwritten_in_the_file_and_gone_from_the_log()
    {
        var address = DatabaseAddress.Parse($"Data Source={_folder.DatabasePath}");
        using var database = new Database($"Data Source={_folder.DatabasePath}");
        database.Open().Dispose();
        using var writer = new Transaction(database);
        var webhook = new WebhookRow("bot", "https://bot.example/", "whsec_bots-secret", 0);
        InTransaction(() => writer.Put(webhook));
        InTransaction(() => writer.SkipWebhook(webhook, upTo: 7)); // which writes the row anew
        for (var i = 0; i < 60; i++)
        {
            InTransaction(() =>
            {
                // SQLite copies the first page once, when it is full: that copy stays.
                var (to, text) = i < 20 ? ("dave", "first") : ("bot", "bots-secret");
                writer.Insert(new Draft("alice", to, Encoding.UTF8.GetBytes(text.PadRight(150 * i)), null, ReceivedAt: 1));
                writer.Insert(new Draft("carol", "alice", "carols-own"u8.ToArray(), null, ReceivedAt: 1));
            });
        }

        Assert.Contains("bots-secret", await ReadAsync("-wal"), StringComparison.Ordinal);
        Assert.StartsWith("Erased 40 messages", await Erasure.EraseAsync(address, "bot"), StringComparison.Ordinal);
        Assert.DoesNotContain("bots-secret", await ReadAsync(""), StringComparison.Ordinal);
        Assert.DoesNotContain("bots-secret", await ReadAsync("-wal"), StringComparison.Ordinal);
        Assert.Contains("carols-own", await ReadAsync(""), StringComparison.Ordinal);

        async Task<string> ReadAsync(string suffix) => Encoding.Latin1.GetString(await File.ReadAllBytesAsync(address.Path + suffix));

        void InTransaction(Action write)
        {
            writer.Begin();
            write();
            writer.Commit();
        }
    }

    [StraceFact]
    public async Task The_name_of_a_copy_is_on_disk_when_the_command_says_so()
    {
        using (var database = new Database($"Data Source={_folder.DatabasePath}"))
            database.Open().Dispose();
        var (code, said) = await Tool.RunAsync(
            Strace.Command, "-f", "-y", "-o", _folder.File("trace"), "-e", "trace=fsync,link,linkat,rename,renameat,renameat2",
            "dotnet", Path.Combine(AppContext.BaseDirectory, "SimpleChat.dll"), "backup", _folder.File("backup.db"),
            $"--ConnectionStrings:Chat=Data Source={_folder.DatabasePath}");
        Assert.True(code == 0, said);
        var calls = (await File.ReadAllLinesAsync(_folder.File("trace"))).ToList();
        var named = calls.FindIndex(call => call.Contains("\"" + _folder.File("backup.db") + "\"", StringComparison.Ordinal));
        Assert.True(named >= 0, string.Join('\n', calls));
        Assert.Contains(calls[named..], call => call.Contains("fsync(", StringComparison.Ordinal)
            && call.Contains($"<{_folder.File("").TrimEnd('/')}>", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(null, "Usage: SimpleChat backup FILE", "backup")]
    [InlineData(null, "Usage: SimpleChat erase USER", "erase", "--ConnectionStrings:Chat=Data Source=x")]
    [InlineData("chat.db", "is there already", "backup", "{folder}/chat.db")]
    [InlineData("chat.db", "cannot be made", "backup", "{folder}/missing/backup.db")]
    [InlineData("chat.db", "is no user id", "erase", "bob smith")]
    [InlineData("other.db", "There is no database", "erase", "bob")]
    public async Task A_command_that_cannot_be_done_says_why_in_one_line(string? database, string line, params string[] command)
    {
        await File.WriteAllTextAsync(_folder.DatabasePath, ""); // an empty database
        var words = command.Select(word => word.Replace("{folder}", _folder.File(""), StringComparison.Ordinal));
        var (code, said) = await RunAsync(database, [.. words]);
        Assert.Equal(1, code);
        Assert.Contains(line, said, StringComparison.Ordinal);
        Assert.Single(said.TrimEnd().Split('\n'));
    }

    [Fact]
    public async Task A_file_of_the_first_server_is_upgraded_and_a_copy_of_it_kept()
    {
        File.Copy(Path.Combine(ArchitectureTests.Root, "SimpleChat.Tests", "chat.version1.db"), _folder.DatabasePath);
        await using (var server = await StartAsync(_folder.DatabasePath))
        {
            var (alice, bob) = (new HttpUser(server.Http, "alice"), new HttpUser(server.Http, "bob"));
            var history = (await alice.GetAsync("/messages?with=bob&days=36500&limit=200")).Messages;
            Assert.Equal(["one", "two", "three"], history.Select(message => message.Body));
            Assert.Equal(["two", "three"], (await bob.InboxAsync()).Select(message => message.Body));
            Assert.Equal((200, history[2].Id), await AnswerAsync(alice.SendAsync("bob", "three", "name of three")));
            Assert.Equal((201, 5), await AnswerAsync(alice.SendAsync("bob", "five")));
            Assert.Contains("\"with\":\"carol\"", (await alice.GetAsync("/conversations")).Body, StringComparison.Ordinal);
        }

        using var copy = Open("chat.db.version1");
        Assert.Equal((1, 4), (Ask<long>(copy, "PRAGMA user_version"), Ask<long>(copy, "SELECT count(*) FROM MessageDB")));
        Assert.Equal(3, Ask<long>(copy, "SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL"));
        using var upgraded = Open("chat.db");
        Assert.Equal(Database.SchemaVersion, Ask<long>(upgraded, "PRAGMA user_version"));
        Assert.Equal(0, Ask<long>(upgraded, "SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL"));
        await using (await StartAsync(_folder.DatabasePath))
            Assert.False(File.Exists(_folder.DatabasePath + ".version1-2")); // it is upgraded once

        static async Task<(int, long)> AnswerAsync(Task<HttpAnswer> answer) => ((await answer).Status, (await answer).Json.Id);
    }

    [Fact]
    public async Task Where_no_copy_can_be_kept_nothing_is_upgraded()
    {
        File.Copy(Path.Combine(ArchitectureTests.Root, "SimpleChat.Tests", "chat.version1.db"), _folder.DatabasePath);
        Directory.CreateDirectory(_folder.DatabasePath + ".version1.unfinished"); // in its way
        await using var server = new ChatProcess { DatabasePath = _folder.DatabasePath };
        Assert.Equal(1, await server.RunAsync());
        Assert.Contains("cannot be made", Assert.Single(server.Errors), StringComparison.Ordinal);
        using var database = Open("chat.db");
        Assert.Equal(1, Ask<long>(database, "PRAGMA user_version"));
    }

    private static Task<ChatProcess> StartAsync(string path) =>
        new ChatProcess { DatabasePath = path, ["Chat:MessagesPerSecond"] = "0" }.StartAsync();

    private Task<(int Code, string Said)> RunAsync(string name, string argument) => RunAsync("chat.db", name, argument);

    /// <summary>Runs the program with a command, on a database of the folder.</summary>
    private Task<(int Code, string Said)> RunAsync(string? database, params string[] command)
    {
        string[] path = database is null ? [] : [$"--ConnectionStrings:Chat=Data Source={_folder.File(database)}"];
        return Tool.RunAsync("dotnet", [Path.Combine(AppContext.BaseDirectory, "SimpleChat.dll"), .. command, .. path]);
    }

    private SqliteConnection Open(string file)
    {
        var connection = new SqliteConnection($"Data Source={_folder.File(file)};Mode=ReadOnly;Pooling=False");
        connection.Open();
        return connection;
    }

    private static T Ask<T>(SqliteConnection connection, string sql)
    {
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        return (T)command.ExecuteScalar()!;
    }

    /// <summary>Pairs of whom one sends to the other, one message after another, until it is stopped. Each must be stored.</summary>
    private sealed class Load : IAsyncDisposable
    {
        private readonly CancellationTokenSource _over = new();
        private readonly Task[] _senders;
        private long _confirmed;

        public Load(ChatProcess server, int pairs) =>
            _senders = [.. Enumerable.Range(0, pairs).Select(i => SendAsync(new HttpUser(server.Http, $"sender{i}"), $"receiver{i}"))];

        /// <summary>The highest id that was confirmed.</summary>
        public long Confirmed => Interlocked.Read(ref _confirmed);

        public Task ConfirmedAsync(long id) => Deadline.UntilAsync(
            () => Task.FromResult(Confirmed >= id || _senders.FirstOrDefault(sender => sender.IsFaulted) is { } broken && broken.Wait(0)),
            $"message {id}");

        public async Task StopAsync()
        {
            await _over.CancelAsync();
            await Task.WhenAll(_senders);
        }

        public async ValueTask DisposeAsync()
        {
            await _over.CancelAsync();
            await Task.WhenAll(_senders).ContinueWith(_ => { }, TaskScheduler.Default);
            _over.Dispose();
        }

        private async Task SendAsync(HttpUser user, string to)
        {
            while (!_over.IsCancellationRequested)
            {
                var answer = await user.SendAsync(to, new string('x', 500));
                Assert.Equal(201, answer.Status);
                for (var known = Confirmed; known < answer.Json.Id;)
                    known = Interlocked.CompareExchange(ref _confirmed, answer.Json.Id, known) == known ? answer.Json.Id : Confirmed;
            }
        }
    }
}
