namespace SimpleChat.Tests;

/// <summary>What the server logs, down to the finest level: ids and sizes, never a token, a text, or a line that a user began.</summary>
public sealed class LoggingTests
{
    private const string Secret = "for-bobs-eyes-only";

    [Fact]
    public async Task No_message_text_and_no_token_is_ever_logged()
    {
        var jwt = new Jwt();
        var expired = jwt.Token("alice", TimeSpan.FromMinutes(-10));
        await using var server = await new ChatServer
        {
            Environment = "Production",
            ["Logging:LogLevel:Default"] = "Trace",
            ["Chat:MaxMessageBytes"] = "1024",
        }.With(jwt.Settings).StartAsync();
        var (alices, bobs) = (jwt.Token("alice"), jwt.Token("bob"));

        using (var raw = await RawHttp.ConnectAsync(server.Url))
            Assert.Equal(101, (await raw.AskAsync(new Handshake { Target = $"/chat?access_token={bobs}" }.For(server.Url))).Status);
        Assert.Equal(401, (await RawHttp.AskAsync(server.Url, new Handshake { Target = $"/chat?access_token={expired}" })).Status);
        Assert.Equal(401, (await new HttpUser(server.Http, null, expired).GetAsync("/inbox")).Status);
        Assert.Equal(401, (await new HttpUser(server.Http, null).GetAsync($"/inbox?access_token={alices}")).Status);

        await using (var alice = await ConnectAsync(server, alices))
        {
            await using var bob = await ConnectAsync(server, bobs);
            await alice.SendAndConfirmAsync("bob", Secret, "c1");
            await alice.SendAndConfirmAsync("bob", Secret, "c1");
            await alice.SendAsync("bob", Secret + "!", "c1");
            await alice.FindAsync("error");
            await alice.RawTextAsync(Secret);
            await alice.FindAsync("error");
            await alice.RawTextAsync($$"""{"to":"b ob","text":"{{Secret}}"}""");
            await alice.FindAsync("error");
            await alice.RawTextAsync($$"""{"type":"{{Secret}}"}""");
            await alice.FindAsync("error");
            await bob.ExpectAsync("message");
            await bob.RawTextAsync(new string('x', 1024) + Secret);
            Assert.Equal(1009, (await bob.ReceiveUntilCloseAsync()).Code);
        }

        var http = new HttpUser(server.Http, null, alices);
        Assert.Equal(201, (await http.SendAsync("bob", Secret)).Status);
        Assert.Equal(400, (await http.PostAsync("/messages", Secret)).Status);
        Assert.Equal(400, (await http.SendAsync("b ob", Secret)).Status);
        Assert.Equal(200, (await http.GetAsync("/messages?with=bob")).Status);
        await server.StopAsync();

        Assert.NotEmpty(server.Log.Entries);
        var signatures = new[] { alices, bobs, expired }.Select(token => token.Split('.')[2]);
        foreach (var secret in signatures.Append(Secret))
            Assert.DoesNotContain(server.Log.Entries, entry => entry.ToString().Contains(secret, StringComparison.Ordinal));
    }

    [Fact]
    public async Task I8_What_a_client_sent_never_starts_a_new_log_line()
    {
        const string Forged = "\r\nFORGED: everything is fine";
        using var folder = new TempFolder();
        await using var server = new ChatProcess
        {
            DatabasePath = folder.DatabasePath,
            ["Logging:LogLevel:Default"] = "Trace",
        };
        await server.StartAsync();
        var escaped = Uri.EscapeDataString(Forged);
        var alice = new HttpUser(server.Http, "alice");
        Assert.Equal(400, (await new HttpUser(server.Http, "alice" + Forged).GetAsync("/inbox")).Status);
        Assert.Equal(400, (await alice.GetAsync($"/users/{escaped}/presence")).Status);
        Assert.Equal(404, (await alice.GetAsync($"/nowhere/{escaped}")).Status);
        Assert.Equal(400, (await alice.GetAsync($"/messages?with={escaped}")).Status);
        Assert.Equal(400, (await alice.GetAsync($"/inbox?wait={escaped}")).Status);
        Assert.Equal(400, (await RawHttp.AskAsync(server.Url, new Handshake { Target = $"/chat?user=alice&after={escaped}" })).Status);
        Assert.Equal(400, (await alice.SendAsync("bob" + Forged, "hi")).Status);
        Assert.Equal(201, (await alice.SendAsync("bob", "hi" + Forged, "c1" + Forged)).Status);
        await using (var client = await ChatClient.ConnectAsync(server.Url, "alice"))
        {
            await client.SendAsync("bob" + Forged, "hi", "c2" + Forged);
            await client.FindAsync("error");
            await client.SendAndConfirmAsync("bob", "hi", "c2" + Forged);
            await client.RawTextAsync("{\"type\":\"\\r\\nFORGED: everything is fine\"}");
            await client.FindAsync("error");
        }

        server.Terminate();
        Assert.Equal(0, await server.ExitAsync());
        Assert.NotEmpty(server.Output);
        Assert.DoesNotContain(server.Output.Concat(server.Errors), line => line.TrimStart().StartsWith("FORGED", StringComparison.Ordinal));
    }

    [Fact]
    public async Task I7_Ordinary_ends_are_not_logged_as_warnings()
    {
        await using var server = await ChatServer.StartNewAsync();
        await using (var alice = await ChatClient.ConnectAsync(server.Url, "alice"))
            await alice.CloseAsync();
        var bob = await ChatClient.ConnectAsync(server.Url, "bob");
        bob.Abort();
        await bob.DisposeAsync();
        var somebody = new HttpUser(server.Http, "somebody");
        await Deadline.UntilAsync(async () => !await somebody.SeesOnlineAsync("bob"), "bob is offline");
        await server.StopAsync();
        Assert.DoesNotContain(server.Log.Entries, entry => entry.Level >= Microsoft.Extensions.Logging.LogLevel.Warning);
    }

    [Fact]
    public async Task Who_comes_who_goes_and_who_is_refused_is_in_the_log_with_the_reason()
    {
        await using var server = await ChatServer.StartNewAsync();
        Assert.Equal(403, (await RawHttp.AskAsync(server.Url, new Handshake { Origin = "https://evil.example" })).Status);
        Assert.Equal(401, (await new HttpUser(server.Http, null).GetAsync("/inbox")).Status);
        await using (var alice = await ChatClient.ConnectAsync(server.Url, "alice"))
            await alice.CloseAsync();

        await Deadline.UntilAsync(() => Task.FromResult(Says("alice disconnected: closed_by_peer")), "alice's end in the log");
        Assert.True(Says("alice connected"));
        Assert.True(Says("127.0.0.1 was refused GET /chat: 403 This web page's origin may not use the chat."));
        Assert.True(Says("127.0.0.1 was refused GET /inbox: 401 Say who you are"));

        bool Says(string what) => server.Log.Entries.Any(entry => entry.Category.StartsWith("SimpleChat.", StringComparison.Ordinal)
            && entry.Message.StartsWith(what, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_log_that_nobody_takes_stops_neither_the_start_nor_the_chat_nor_the_end()
    {
        if (OperatingSystem.IsWindows())
            return; // no shell, no named pipe in the file system
        using var folder = new TempFolder();
        var log = folder.File("log");
        var url = new Uri(LoopbackPort.FreeUrl());
        await using var server = new ChatProcess
        {
            DatabasePath = folder.DatabasePath,
            Under = ["sh", "-c", $"mkfifo {log}; exec \"$@\" 1<>{log}", "sh"], // open for reading, and nobody reads
            ["urls"] = url.ToString(),
            ["Logging:LogLevel:Default"] = "Trace",
            ["Logging:LogLevel:Microsoft.AspNetCore"] = "Trace",
            ["Chat:MessagesPerSecond"] = "0",
        };
        server.Launch();
        using var http = new HttpClient { BaseAddress = url };
        await Deadline.UntilAsync(() => AnswersAsync(http), "the start");

        await using var alice = await ChatClient.ConnectAsync(url, "alice");
        await using var bob = await ChatClient.ConnectAsync(url, "bob");
        for (var i = 0; i < 300; i++) // each several lines: a pipe takes 64 KiB
        {
            Assert.Equal(201, (await new HttpUser(http, "alice").SendAsync("bob", $"{i}")).Status);
            Assert.Equal($"{i}", (await bob.ExpectAsync("message")).Body);
        }

        await using var carol = await ChatClient.ConnectAsync(url, "carol");
        var watch = System.Diagnostics.Stopwatch.StartNew();
        var closed = carol.ReceiveUntilCloseAsync();
        server.Terminate();
        Assert.Equal(1001, (await closed).Code);
        Assert.Equal(0, await server.ExitAsync());
        Assert.InRange(watch.Elapsed.TotalSeconds, 0, 5);
    }

    private static async Task<bool> AnswersAsync(HttpClient http)
    {
        try
        {
            using var answer = await http.GetAsync("/alive");
            return answer.IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }

    private static Task<ChatClient> ConnectAsync(ChatServer server, string token) =>
        ChatClient.ConnectAsync(server.Url, user: null, configure: options => options.SetRequestHeader("Authorization", $"Bearer {token}"));
}
