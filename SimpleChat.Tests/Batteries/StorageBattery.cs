using System.Diagnostics;
using Microsoft.Data.Sqlite;
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
            server.Url, server.Http, server.DatabasePath, "moved away", () => Swap(server.DatabasePath, away), () => Swap(away, server.DatabasePath));
        Assert.False(File.Exists(away));
    }

    [Fact]
    public async Task I9_Another_file_in_its_place_is_left_alone()
    {
        await using var server = await ChatServer.StartNewAsync();
        var (away, other) = (server.DatabasePath + ".away", server.DatabasePath + ".other");
        using (var stranger = new ChatDatabase($"Data Source={other}"))
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
        await using var server = await new ChatProcess { DatabasePath = disk.File("chat.db"), ["Chat:MessagesPerSecond"] = "0" }.StartAsync();
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
        for (var i = 0; i < Count; i++)
            await alice.SendAsync("bob", $"{i}", $"{i}");
        var unreadable = new SystemCallFault(server.Id, "pread64", "EIO", Files(folder));

        (await alice.GetAsync("/messages")).AssertProblem(503, "storage_unavailable");
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
        Assert.Equal(200, (await alice.GetAsync("/health")).Status);
    }

    private static string[] Files(TempFolder folder) => [folder.DatabasePath, folder.DatabasePath + "-wal"];

    /// <summary>Certain system calls on the database and its log fail, from the outside, while the server runs.</summary>
    private async Task AssertSurvivesCallsAsync(string calls, string error)
    {
        using var folder = new TempFolder();
        await using var server = await new ChatProcess { DatabasePath = folder.DatabasePath, ["Chat:MessagesPerSecond"] = "0" }.StartAsync();
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
