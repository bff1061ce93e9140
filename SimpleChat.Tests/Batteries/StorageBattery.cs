using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net.Http.Json;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging;
using Xunit.Abstractions;

namespace SimpleChat.Tests.Batteries;

/// <summary>
/// I9: each fault of a disk, and its end, while alice sends and bob is connected. Alice hears of it in time, bob gets nothing that was not
/// stored, <c>/health</c> turns, and when the fault goes everything goes on by itself.
/// </summary>
[Trait("Category", Battery.Category)]
public sealed class StorageBattery(ITestOutputHelper output)
{
    /// <summary>The contract's 5 seconds, and what a loaded machine adds.</summary>
    private static readonly TimeSpan HeardWithin = TimeSpan.FromSeconds(6);

    [Fact]
    public async Task I9_A_file_that_is_swapped_away_is_noticed_and_comes_back()
    {
        await using var server = await ChatServer.StartNewAsync();
        var away = server.DatabasePath + ".away";
        await AssertSurvivesAsync(
            server.Url, server.Http, server.DatabasePath, "moved away", () => Swap(server.DatabasePath, away),
            () => Swap(away, server.DatabasePath));
        Assert.False(File.Exists(away));
    }

    [Fact]
    public async Task I9_Another_file_in_its_place_is_left_alone()
    {
        await using var server = await ChatServer.StartNewAsync();
        var (away, other) = (server.DatabasePath + ".away", server.DatabasePath + ".other");
        using (var stranger = new Database($"Data Source={other}"))
            stranger.Open();
        var before = await File.ReadAllBytesAsync(other);
        await AssertSurvivesAsync(server.Url, server.Http, server.DatabasePath, "replaced", () =>
        {
            Swap(server.DatabasePath, away);
            Swap(other, server.DatabasePath);
            return Task.CompletedTask;
        }, async () =>
        {
            Assert.Equal(before, await File.ReadAllBytesAsync(server.DatabasePath));
            await Swap(server.DatabasePath, other);
            await Swap(away, server.DatabasePath);
        });
    }

    [Fact]
    public async Task I9_Another_process_that_holds_the_lock_for_seconds_is_survived()
    {
        using var folder = new TempFolder();
        await using var server = await new ChatProcess { DatabasePath = folder.DatabasePath }.StartAsync();
        await using var stranger = new SqliteConnection($"Data Source={server.DatabasePath};Pooling=False");
        await stranger.OpenAsync();
        await AssertSurvivesAsync(
            server.Url, server.Http, server.DatabasePath, "locked", () => ExecuteAsync("BEGIN IMMEDIATE"), () => ExecuteAsync("ROLLBACK"));

        async Task ExecuteAsync(string sql)
        {
            await using var command = stranger.CreateCommand();
            command.CommandText = sql;
            await command.ExecuteNonQueryAsync();
        }
    }

    [TmpfsFact]
    public async Task I9_A_full_disk_is_survived()
    {
        using var disk = new Tmpfs("4m");
        await using var server =
            await new ChatProcess { DatabasePath = disk.File("chat.db"), ["Chat:MessagesPerSecond"] = "0" }.StartAsync();
        await AssertSurvivesAsync(server.Url, server.Http, server.DatabasePath, "full", Fill, () =>
        {
            File.Delete(disk.File("filler"));
            return Task.CompletedTask;
        }, new string('x', 20_000));

        async Task Fill()
        {
            await using var filler = File.Create(disk.File("filler"), bufferSize: 0);
            try
            {
                while (true)
                    await filler.WriteAsync(new byte[4096]);
            }
            catch (IOException)
            {
                // It is full.
            }
        }
    }

    [TmpfsFact]
    public async Task A_start_on_a_read_only_file_system_says_so()
    {
        using var disk = new Tmpfs("4m");
        Assert.Null(Tool.Try("mount", "-o", "remount,ro", Path.GetDirectoryName(disk.File("x"))!));
        await using var server = new ChatProcess { DatabasePath = disk.File("chat.db") };
        Assert.Equal(1, await server.RunAsync());
        Assert.Contains("read-only file system", Assert.Single(server.Errors), StringComparison.Ordinal);
    }

    [SystemCallFaultFact]
    public Task I9_Syncs_that_fail_are_survived() => AssertSurvivesCallsAsync("fsync,fdatasync", "EIO");

    [SystemCallFaultFact]
    public Task I9_Writes_that_fail_are_survived() => AssertSurvivesCallsAsync("pwrite64", "EIO");

    [SystemCallFaultFact]
    public Task I9_A_disk_that_turns_read_only_while_it_is_used_is_survived() =>
        AssertSurvivesCallsAsync("pwrite64,ftruncate,fallocate", "EROFS");

    [SystemCallFaultFact]
    public async Task I9_While_reads_fail_a_request_hears_it_and_whoever_catches_up_merely_lags()
    {
        const int Count = 300; // more than one page
        using var folder = new TempFolder();
        await using var server = await new ChatProcess
        {
            DatabasePath = folder.DatabasePath,
            ["Chat:MessagesPerSecond"] = "0",
            ["Chat:KeepAliveInterval"] = "00:00:01",
        }.StartAsync();
        var alice = new HttpUser(server.Http, "alice");
        await using (var sender = await ChatClient.ConnectAsync(server.Url, "alice"))
        {
            for (var i = 0; i < Count; i++)
                await sender.SendAsync("bob", $"{i}");
            for (var i = 0; i < Count; i++)
                await sender.ExpectAsync("sent");
        }

        var webhook = new { url = "http://127.0.0.1:9/", secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" }; // where nobody listens
        using (var address = JsonContent.Create(webhook))
            Assert.Equal(201, (await alice.RequestAsync(HttpMethod.Put, "/webhook", address)).Status);
        var unreadable = new SystemCallFault(server.Id, "pread64", "EIO", Files(folder));

        (await alice.GetAsync("/messages")).AssertProblem(503, "storage_unavailable");
        foreach (var path in new[] { "/conversations", "/inbox", "/webhook" }) // what is still in memory is answered
            Assert.Contains((await alice.GetAsync(path)).Status, (int[])[200, 503]);
        (await alice.GetAsync("/health")).AssertProblem(503, "storage_unavailable");
        await using var bob = await ChatClient.ConnectAsync(server.Url, "bob", "chat.ack");
        await bob.PingAsync();
        await bob.ExpectAsync("pong"); // and nothing else
        using (var stream = new StreamReader(await server.Http.GetStreamAsync("/inbox/stream?user=bob")))
        {
            foreach (var line in new[] { "retry: 1000", "", ":" }) // its heart beats: it looks at the clock, and at whoever may still read
                Assert.Equal(line, await stream.ReadLineAsync().OrFail("the stream's next line"));
        }

        unreadable.Dispose();
        for (var i = 0; i < Count; i++)
            Assert.Equal($"{i}", (await bob.ExpectAsync("message")).Body);
        Assert.Equal(200, (await alice.GetAsync("/messages")).Status);
        await Deadline.UntilAsync(async () => (await alice.GetAsync("/health")).Status == 200, "the recovery");
    }

    [Theory]
    [InlineData("its pages are overwritten")]
    [InlineData("another database is copied over it")]
    [InlineData("an older copy of it is copied over it")]
    [InlineData("its log is deleted")]
    [InlineData("its log is replaced")]
    [InlineData("its log is emptied")]
    [InlineData("its log's index is deleted")]
    [InlineData("both are deleted")]
    public async Task I9_When_somebody_harms_the_files_nothing_more_is_confirmed_and_health_and_one_line_say_so(string harm)
    {
        if (!OperatingSystem.IsLinux())
            return; // elsewhere the log's index is not looked into
        using var folder = new TempFolder();
        var path = folder.DatabasePath;
        await using var server = await new ChatProcess { DatabasePath = path, ["Chat:MessagesPerSecond"] = "0" }.StartAsync();
        var (older, confirmed, isTold) = (folder.File("older.db"), new ConcurrentQueue<string>(), false);
        var alice = new HttpUser(server.Http, "alice");
        await alice.SendAsync("bob", "first");
        Shell(path, $"VACUUM INTO '{older}'; PRAGMA wal_checkpoint(TRUNCATE)");
        var load = Task.WhenAll(Enumerable.Range(0, 4).Select(SendAsync));
        await Deadline.UntilAsync(() => Task.FromResult(confirmed.Count > 200), "a load");

        Harm(harm, path, older);
        await Deadline.UntilAsync(async () => (await alice.GetAsync("/health")).Status == 503, "word from /health");
        Volatile.Write(ref isTold, true);
        for (var i = 0; i < 20; i++)
            (await alice.SendAsync("bob", $"after {i}")).AssertProblem(503, "storage_unavailable");
        (await alice.GetAsync("/health")).AssertProblem(503, "storage_unavailable");
        await load.OrFail("the refusal of the load");
        bool Tells(string line) => line.Contains("Storage failed", StringComparison.Ordinal);
        await Deadline.UntilAsync(() => Task.FromResult(server.Output.Any(Tells)), "the line"); // the console is written later
        var line = Assert.Single(server.Output, Tells);
        output.WriteLine($"{harm}: {confirmed.Count} confirmed. {line.Trim()}");

        server.Kill();
        await server.ExitAsync();
        if (!harm.Contains("log", StringComparison.Ordinal) && !harm.Contains("both", StringComparison.Ordinal))
            return;
        if (harm == "its log is replaced")
            File.Delete(path + "-wal");
        await using var next = await new ChatProcess { DatabasePath = path }.StartAsync();
        var stored = StoredState.Read(path);
        Assert.Equal("ok", stored.Integrity);
        if (harm != "its log is emptied") // which nobody can read any more
            Assert.Empty(confirmed.Except(stored.Messages.Select(message => message.Text)));

        async Task SendAsync(int sender)
        {
            var user = new HttpUser(server.Http, $"user{sender}");
            for (var i = 0; ; i++)
            {
                var (text, isLate) = ($"{sender} {i} {new string('x', 500)}", Volatile.Read(ref isTold));
                if ((await user.SendAsync("bob", text)).Status != 201)
                    return;
                Assert.False(isLate, "A message was confirmed that was sent after word from /health.");
                confirmed.Enqueue(text);
            }
        }
    }

    [Fact]
    public async Task What_a_shell_does_with_the_running_servers_database_is_no_harm()
    {
        using var folder = new TempFolder();
        await using var server =
            await new ChatProcess { DatabasePath = folder.DatabasePath, ["Chat:MessagesPerSecond"] = "0" }.StartAsync();
        var alice = new HttpUser(server.Http, "alice");
        foreach (var sql in (string[])
        [
            "SELECT count(*) FROM MessageDB", "DELETE FROM MessageDB WHERE Id = 1", "PRAGMA wal_checkpoint",
            "PRAGMA wal_checkpoint(RESTART)",
            "DELETE FROM MessageDB WHERE Id = 2", "PRAGMA wal_checkpoint(TRUNCATE)", "VACUUM", "PRAGMA integrity_check",
        ])
        {
            for (var i = 0; i < 10; i++)
                Assert.Equal(201, (await alice.SendAsync("bob", sql)).Status);
            Shell(server.DatabasePath, sql);
            Assert.Equal(201, (await alice.SendAsync("bob", sql)).Status);
            Assert.Equal(200, (await alice.GetAsync("/health")).Status);
        }

        Assert.DoesNotContain(server.Output, line => line.Contains("Storage failed", StringComparison.Ordinal));
    }

    [Fact]
    public async Task I9_Damage_that_a_reader_finds_turns_health_and_is_told_once()
    {
        await using var server = await ChatServer.StartNewAsync();
        var alice = new HttpUser(server.Http, "alice");
        for (var i = 0; i < 50; i++)
            await alice.SendAsync("bob", $"{i} {new string('x', 3000)}");
        await server.RestartAsync(); // which indexes the messages: no later start reads them
        await server.StopAsync();
        await using (var file = File.OpenWrite(server.DatabasePath)) // while nobody watches: a page in the middle, with messages
        {
            file.Position = file.Length / 4096 / 2 * 4096;
            await file.WriteAsync(Enumerable.Repeat((byte)0xFF, 64).ToArray());
        }

        await server.StartAsync();
        Assert.Equal(200, (await new HttpUser(server.Http, null).GetAsync("/health")).Status);
        await using var reader = await ChatClient.ConnectAsync(server.Url, "bob", "chat.ack", after: 0);
        await Deadline.UntilAsync(async () => (await new HttpUser(server.Http, null).GetAsync("/health")).Status == 503,
            "word from /health");
        (await new HttpUser(server.Http, "alice").SendAsync("bob", "hi")).AssertProblem(503, "storage_unavailable");
        Assert.Single(server.Log.Entries, entry => entry.Level >= LogLevel.Error);
    }

    private static void Harm(string harm, string path, string older)
    {
        switch (harm)
        {
            case "its pages are overwritten":
                using (var file = new FileStream(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite))
                {
                    file.Position = 4096;
                    file.Write(new byte[3 * 4096]);
                }

                break;
            case "another database is copied over it":
                Shell(older, "DROP TABLE InboxDB; CREATE TABLE Recipes (Name TEXT)");
                Copy(older, path);
                break;
            case "an older copy of it is copied over it":
                Copy(older, path);
                break;
            case "its log is deleted":
                File.Delete(path + "-wal");
                break;
            case "its log is replaced":
                File.Copy(path + "-wal", path + ".other");
                File.Move(path + ".other", path + "-wal", overwrite: true);
                break;
            case "its log is emptied":
                using (new FileStream(path + "-wal", FileMode.Truncate, FileAccess.Write, FileShare.ReadWrite))
                    break;
            case "its log's index is deleted":
                File.Delete(path + "-shm");
                break;
            case "both are deleted":
                File.Delete(path + "-wal");
                File.Delete(path + "-shm");
                break;
            default:
                throw new ArgumentException(harm);
        }
    }

    /// <summary>Into the file that is there, as <c>cp</c> does.</summary>
    private static void Copy(string from, string to)
    {
        using var source = File.OpenRead(from);
        using var target = new FileStream(to, FileMode.Truncate, FileAccess.Write, FileShare.ReadWrite);
        source.CopyTo(target);
    }

    /// <summary>As a <c>sqlite3</c> shell would.</summary>
    private static void Shell(string path, string sql)
    {
        using var connection = new SqliteConnection($"Data Source={path};Pooling=False");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    private static string[] Files(TempFolder folder) => [folder.DatabasePath, folder.DatabasePath + "-wal"];

    /// <summary>Certain system calls on the database and its log fail, from the outside, while the server runs.</summary>
    private async Task AssertSurvivesCallsAsync(string calls, string error)
    {
        using var folder = new TempFolder();
        await using var server =
            await new ChatProcess { DatabasePath = folder.DatabasePath, ["Chat:MessagesPerSecond"] = "0" }.StartAsync();
        SystemCallFault? fault = null;
        await AssertSurvivesAsync(server.Url, server.Http, server.DatabasePath, $"{calls} {error}", () =>
        {
            fault = new SystemCallFault(server.Id, calls, error, Files(folder));
            return Task.CompletedTask;
        }, () =>
        {
            fault!.Dispose();
            return Task.CompletedTask;
        });
    }

    private static Task Swap(string from, string to)
    {
        File.Move(from, to);
        return Task.CompletedTask;
    }

    private async Task AssertSurvivesAsync(
        Uri url, HttpClient http, string path, string fault, Func<Task> breaks, Func<Task> mends, string filling = "")
    {
        var users = (Alice: new Record("alice"), Bob: new Record("bob"));
        await using var alice = await ChatClient.ConnectAsync(url, "alice");
        users.Bob.Connects();
        await using var bob = await ChatClient.ConnectAsync(url, "bob", "chat.ack");
        var nobody = new HttpUser(http, null);
        var sent = 0;
        while (sent < 5)
            Assert.True(await SendsAsync());
        Assert.Equal(200, (await nobody.GetAsync("/health")).Status);

        await breaks();
        var tries = 0;
        while (await SendsAsync())
            Assert.True(++tries < 1000, "Nothing failed.");
        (await nobody.GetAsync("/health")).AssertProblem(503, "storage_unavailable");

        await mends();
        await Deadline.UntilAsync(async () => (await nobody.GetAsync("/health")).Status == 200, "the recovery");
        var failed = sent;
        while (sent < failed + 5)
            Assert.True(await SendsAsync());

        var stored = StoredState.Read(path);
        foreach (var _ in stored.Messages)
        {
            var message = await bob.FindAsync("message");
            users.Bob.Received(message.Id, message.From, message.Body, message.SentAt.ToUnixTimeMilliseconds());
        }

        await bob.PingAsync();
        await bob.ExpectAsync("pong"); // and nothing more than what is stored
        var verdict = Checker.Check([users.Alice, users.Bob], stored);
        output.WriteLine($"{fault}: {verdict}");
        Assert.Empty(verdict.Findings);

        async Task<bool> SendsAsync()
        {
            var (name, text) = ($"{sent}", $"{sent++} {filling}");
            var asked = Stopwatch.GetTimestamp();
            users.Alice.Sends("bob", text, name);
            await alice.SendAsync("bob", text, name);
            Frame answer;
            do
                answer = await alice.ReceiveAsync();
            while (answer.Type == "message"); // her own, taken for failed and found stored: it is news to her too
            if (answer.Type == "sent")
                users.Alice.WasConfirmed(name, answer.Id, answer.SentAt.ToUnixTimeMilliseconds());
            else
                Assert.Equal("storage_unavailable", answer.Code);
            Assert.True(Stopwatch.GetElapsedTime(asked) < HeardWithin, $"Alice waited {Stopwatch.GetElapsedTime(asked)}.");
            return answer.Type == "sent";
        }
    }
}
