using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Threading.Channels;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;

namespace SimpleChat.Tests;

/// <summary>Bots without a connection: each message is POSTed to them, until they take it.</summary>
public sealed class WebhookTests
{
    private const string Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    [Fact]
    public async Task A_message_is_posted_signed_as_Standard_Webhooks_says_and_2xx_delivers_it()
    {
        await using var server = await StartAsync();
        await using var receiver = await Receiver.StartAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        var bot = new HttpUser(server.Http, "bot");
        Assert.Equal(201, (await RegisterAsync(bot, receiver.Url)).Status);

        var sent = await alice.SendAndConfirmAsync("bot", "hi ♥");
        var call = await receiver.NextAsync();
        Assert.Equal("hi ♥", call.Message.Body);
        Assert.Equal(sent.Id, call.Message.Id);
        using var hmac = new HMACSHA256(Convert.FromBase64String(Secret["whsec_".Length..]));
        var signature = "v1," + Convert.ToBase64String(hmac.ComputeHash(Encoding.UTF8.GetBytes($"{call.Id}.{call.Timestamp}.{call.Body}")));
        Assert.Equal(signature, call.Signature);
        Assert.Equal(sent.Id, (await alice.FindAsync("delivered")).Id);
        Assert.Empty(await bot.InboxAsync());
    }

    [Theory]
    [InlineData(500)]
    [InlineData(302)]
    public async Task A_call_that_fails_is_tried_again_in_order_under_the_same_id_and_holds_up_nobody_else(int status)
    {
        await using var server = await StartAsync();
        await using var receiver = await Receiver.StartAsync(status, status, status);
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        await using var bob = await ChatClient.ConnectAsync(server.Url, "bob");
        var bot = new HttpUser(server.Http, "bot");
        await RegisterAsync(bot, receiver.Url);
        await alice.SendAsync("bot", "one");
        await alice.SendAsync("bot", "two");
        await alice.SendAsync("bob", "hi");
        Assert.Equal("hi", (await bob.ExpectAsync("message")).Body);

        var calls = new List<Call>();
        for (var i = 0; i < 5; i++)
            calls.Add(await receiver.NextAsync());
        Assert.Equal(["one", "one", "one", "one", "two"], calls.Select(call => call.Message.Body));
        Assert.Single(calls.Take(4).Select(call => call.Id).Distinct());
        await Deadline.UntilAsync(async () => (await bot.InboxAsync()).Count == 0, "both delivered");
    }

    [Fact]
    public async Task A_receiver_that_hangs_is_given_up_at_the_deadline_and_tried_again()
    {
        await using var server = await StartAsync(("Webhooks:Timeout", "00:00:00.5"));
        await using var receiver = await Receiver.StartAsync(Receiver.Hang);
        var bot = new HttpUser(server.Http, "bot");
        await RegisterAsync(bot, receiver.Url);
        await new HttpUser(server.Http, "alice").SendAsync("bot", "hi");

        await receiver.NextAsync();
        await receiver.NextAsync();
        await Deadline.UntilAsync(async () => (await bot.InboxAsync()).Count == 0, "the delivery");
    }

    [Fact]
    public async Task A_registration_survives_a_restart_shows_no_secret_and_can_be_taken_back()
    {
        await using var server = await StartAsync();
        await using var receiver = await Receiver.StartAsync();
        await RegisterAsync(new HttpUser(server.Http, "bot"), receiver.Url);
        await server.RestartAsync();
        var bot = new HttpUser(server.Http, "bot");

        var shown = await bot.GetAsync("/webhook");
        Assert.Equal((200, receiver.Url), (shown.Status, shown.Json.Text("url")));
        Assert.DoesNotContain("whsec_", shown.Body, StringComparison.Ordinal);
        await new HttpUser(server.Http, "alice").SendAsync("bot", "after the restart");
        Assert.Equal("after the restart", (await receiver.NextAsync()).Message.Body);
        await Deadline.UntilAsync(async () => (await bot.InboxAsync()).Count == 0, "the delivery");

        Assert.Equal(204, (await bot.RequestAsync(HttpMethod.Delete, "/webhook")).Status);
        (await bot.GetAsync("/webhook")).AssertProblem(404);
        await new HttpUser(server.Http, "alice").SendAsync("bot", "stays");
        Assert.Equal("stays", Assert.Single(await bot.InboxAsync()).Body);
        Assert.DoesNotContain(server.Log.Entries, entry => entry.ToString().Contains("whsec_", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("http://example.org/hook", Secret)]
    [InlineData("ftp://127.0.0.1/hook", Secret)]
    [InlineData("http://user@127.0.0.1/hook", Secret)]
    [InlineData("no url", Secret)]
    [InlineData("http://127.0.0.1/hook", "too short")]
    [InlineData("http://127.0.0.1/hook", "whsec_c2hvcnQ=")]
    public async Task A_registration_that_may_not_be_is_refused(string url, string secret)
    {
        await using var server = await StartAsync();
        (await RegisterAsync(new HttpUser(server.Http, "bot"), url, secret)).AssertProblem(400);
    }

    [Fact]
    public async Task A_name_that_resolves_to_an_address_inside_is_not_called()
    {
        var tokens = new Jwt();
        await using var server = new ChatServer
        {
            Environment = "Production",
            ["Webhooks:AllowedHosts:0"] = "localhost",
            ["Webhooks:FirstRetry"] = "00:00:00.02",
        };
        foreach (var (key, value) in tokens.Settings)
            server[key] = value;
        await server.StartAsync();
        await using var receiver = await Receiver.StartAsync();
        var bot = new HttpUser(server.Http, null, tokens.Token("bot"));
        Assert.Equal(201, (await RegisterAsync(bot, receiver.Url.Replace("127.0.0.1", "localhost", StringComparison.Ordinal))).Status);
        await new HttpUser(server.Http, null, tokens.Token("alice")).SendAsync("bot", "hi");

        await Deadline.UntilAsync(
            async () => (await bot.GetAsync("/webhook")).Body.Contains("failure", StringComparison.OrdinalIgnoreCase), "a failure");
        Assert.Single(await bot.InboxAsync());
        Assert.Equal(0, receiver.Calls);
    }

    [Fact]
    public async Task A_410_ends_the_registration_for_good_and_the_messages_wait_in_the_inbox()
    {
        await using var server = await StartAsync();
        await using var receiver = await Receiver.StartAsync((_, _) => 410);
        await RegisterAsync(new HttpUser(server.Http, "bot"), receiver.Url);
        await new HttpUser(server.Http, "alice").SendAsync("bot", "hi");
        await Deadline.UntilAsync(async () => (await new HttpUser(server.Http, "bot").GetAsync("/webhook")).Status == 404,
            "the registration's end");

        await server.RestartAsync();
        var bot = new HttpUser(server.Http, "bot");
        (await bot.GetAsync("/webhook")).AssertProblem(404);
        Assert.Equal("hi", Assert.Single(await bot.InboxAsync()).Body);
        Assert.Equal(1, receiver.Calls);
        Assert.Equal(201, (await RegisterAsync(bot, receiver.Url)).Status);
    }

    [Theory]
    [InlineData("60", 60)]
    [InlineData("Tue, 24 Nov 2026 11:01:00 GMT", 60)]
    [InlineData("Tuesday, 24-Nov-26 11:01:00 GMT", 60)] // obsolete, and still to be read (RFC 9110, section 5.6.7)
    [InlineData("Tue, 24 Nov 2026 10:59:00 GMT", 0)]
    [InlineData("Fri, 31 Dec 9999 23:59:59 GMT", 86_400)]
    [InlineData("86401", 86_400)]
    [InlineData("99999999999999999999999999999999", 86_400)]
    [InlineData("-60", 0)]
    [InlineData("1e9", 0)]
    [InlineData("soon", 0)]
    [InlineData("", 0)]
    public void Retry_After_is_read_as_seconds_or_a_date_up_to_a_day_and_nonsense_is_passed_over(string value, double seconds)
    {
        using var response = new HttpResponseMessage(System.Net.HttpStatusCode.ServiceUnavailable);
        response.Headers.TryAddWithoutValidation("Retry-After", value);
        Assert.Equal(TimeSpan.FromSeconds(seconds),
            WebhookAnswer.Of(response, new DateTimeOffset(2026, 11, 24, 11, 0, 0, TimeSpan.Zero)).RetryAfter);
    }

    [Theory]
    [InlineData(429)]
    [InlineData(503)]
    public async Task Retry_After_is_honoured(int status)
    {
        await using var server = await StartAsync();
        await using var receiver = await Receiver.StartAsync((number, _) => number == 1 ? status : 200, retryAfter: "1");
        await RegisterAsync(new HttpUser(server.Http, "bot"), receiver.Url);
        await new HttpUser(server.Http, "alice").SendAsync("bot", "hi");
        var first = await receiver.NextAsync();
        var pause = System.Diagnostics.Stopwatch.GetElapsedTime(first.At, (await receiver.NextAsync()).At);
        Assert.True(pause > TimeSpan.FromSeconds(0.9), $"It called again after {pause}.");
    }

    [Fact]
    public async Task A_PUT_makes_it_try_at_once_although_a_pause_of_hours_was_asked_for()
    {
        await using var server = await StartAsync();
        await using var receiver = await Receiver.StartAsync((number, _) => number == 1 ? 503 : 200, retryAfter: "7200");
        var bot = new HttpUser(server.Http, "bot");
        await RegisterAsync(bot, receiver.Url);
        await new HttpUser(server.Http, "alice").SendAsync("bot", "hi");
        await Deadline.UntilAsync(
            async () => (await bot.GetAsync("/webhook")).Body.Contains("answered 503", StringComparison.Ordinal), "the failure");
        Assert.Equal(200, (await RegisterAsync(bot, receiver.Url)).Status);
        await Deadline.UntilAsync(async () => (await bot.InboxAsync()).Count == 0, "the delivery");
        Assert.Equal(2, receiver.Calls);
    }

    [Theory]
    [InlineData("the same", 500)]
    [InlineData("another secret", 500)]
    [InlineData("another secret", Receiver.Hang)]
    [InlineData("another secret", 410)]
    [InlineData("deleted in between", 500)]
    [InlineData("deleted in between", 400)]
    public async Task Registering_again_does_not_get_round_the_pause_between_failing_calls(string how, int answer)
    {
        // Pauses of 1 s, 2 s, 4 s, and at least half of each.
        await using var server = await new ChatServer { ["Webhooks:Timeout"] = "00:00:10" }.StartAsync();
        await using var receiver = await Receiver.StartAsync((_, _) => answer);
        var bot = new HttpUser(server.Http, "bot");
        await new HttpUser(server.Http, "alice").SendAsync("bot", "hi");
        await RegisterAsync(bot, receiver.Url);
        await receiver.NextAsync();
        var clock = System.Diagnostics.Stopwatch.StartNew();
        var puts = 0;
        for (; clock.Elapsed < TimeSpan.FromSeconds(2); puts++)
        {
            if (how == "deleted in between")
                Assert.Equal(204, (await bot.RequestAsync(HttpMethod.Delete, "/webhook")).Status);
            var secret = how == "another secret" && puts % 2 == 0 ? Secret[..^4] + "AAAA" : Secret;
            Assert.InRange((await RegisterAsync(bot, receiver.Url, secret)).Status, 200, 201);
        }

        Assert.True(puts > 10, $"There were {puts} registrations.");
        Assert.InRange(receiver.Calls, 2, 5); // the first; one at once, for a PUT; after 1 s and 2 s, or half of that
    }

    [Fact]
    public async Task A_message_that_is_refused_again_and_again_is_skipped_shown_as_a_dead_letter_and_not_tried_at_a_restart()
    {
        await using var server = await StartAsync();
        var isMended = false;
        await using var receiver =
            await Receiver.StartAsync((_, body) => body.Contains("poison", StringComparison.Ordinal) && !isMended ? 400 : 200);
        await RegisterAsync(new HttpUser(server.Http, "bot"), receiver.Url);
        var poison = (await new HttpUser(server.Http, "alice").SendAsync("bot", "poison")).Json.Id;
        await new HttpUser(server.Http, "alice").SendAsync("bot", "fine");
        string[] expected = ["poison", "poison", "poison", "poison", "poison", "fine"];
        foreach (var text in expected)
            Assert.Equal(text, (await receiver.NextAsync()).Message.Body);
        await PoisonIsLeftAsync();

        await server.RestartAsync();
        await new HttpUser(server.Http, "alice").SendAsync("bot", "after the restart");
        Assert.Equal("after the restart", (await receiver.NextAsync()).Message.Body);
        await PoisonIsLeftAsync();
        var bot = new HttpUser(server.Http, "bot");
        var dead = (await bot.GetAsync("/webhook")).Json.Json.GetProperty("deadLetters");
        Assert.Equal((1, poison), (dead.GetProperty("count").GetInt32(), dead.GetProperty("oldestId").GetInt64()));

        isMended = true;
        await RegisterAsync(bot, receiver.Url);
        Assert.Equal("poison", (await receiver.NextAsync()).Message.Body);
        await Deadline.UntilAsync(async () => (await bot.InboxAsync()).Count == 0, "an empty inbox");
        Assert.DoesNotContain("deadLetters", (await bot.GetAsync("/webhook")).Body, StringComparison.Ordinal);

        Task PoisonIsLeftAsync() => Deadline.UntilAsync(
            async () => (await new HttpUser(server.Http, "bot").InboxAsync()) is [var one] && one.Body == "poison",
            "all but one delivered");
    }

    [Theory]
    [InlineData(500)]
    [InlineData(429)]
    public async Task A_message_that_fails_for_very_long_is_skipped_too(int status)
    {
        var time = new FakeTimeProvider();
        await using var server = await StartAsync(time, ("Webhooks:GiveUpAfter", "01:00:00"));
        await using var receiver = await Receiver.StartAsync((_, body) => body.Contains("poison", StringComparison.Ordinal) ? status : 200);
        var bot = new HttpUser(server.Http, "bot");
        await RegisterAsync(bot, receiver.Url);
        await new HttpUser(server.Http, "alice").SendAsync("bot", "poison");
        await new HttpUser(server.Http, "alice").SendAsync("bot", "fine");
        await AfterPausesAsync(() => Task.FromResult(receiver.Calls >= 3), "three calls");
        time.Advance(TimeSpan.FromHours(1));
        await AfterPausesAsync(async () => (await bot.InboxAsync()) is [var one] && one.Body == "poison",
            "the second message's delivery");
        Assert.True(receiver.Calls > 3);

        Task AfterPausesAsync(Func<Task<bool>> fact, string what) => Deadline.UntilAsync(() =>
        {
            time.Advance(TimeSpan.FromMilliseconds(20)); // so little that no call of three runs into its deadline
            return fact();
        }, what);
    }

    [Fact]
    public async Task A_message_that_was_acknowledged_elsewhere_meanwhile_is_not_posted_any_more()
    {
        await using var server = await StartAsync();
        await using var receiver = await Receiver.StartAsync(500);
        var acknowledged = new TaskCompletionSource();
        receiver.Answering = acknowledged.Task;
        var (alice, bot) = (new HttpUser(server.Http, "alice"), new HttpUser(server.Http, "bot"));
        await RegisterAsync(bot, receiver.Url);
        long[] ids = [(await alice.SendAsync("bot", "one")).Json.Id, (await alice.SendAsync("bot", "two")).Json.Id];
        await receiver.NextAsync();
        await bot.AckAsync(ids);
        acknowledged.SetResult();
        await alice.SendAsync("bot", "three");
        Assert.Equal("three", (await receiver.NextAsync()).Message.Body);
    }

    [Fact]
    public async Task A_file_that_is_older_than_dead_letters_is_served_and_gets_what_they_need()
    {
        await using var server = await StartAsync();
        await using var receiver = await Receiver.StartAsync((_, body) => body.Contains("poison", StringComparison.Ordinal) ? 422 : 200);
        await RegisterAsync(new HttpUser(server.Http, "bot"), receiver.Url);
        await server.StopAsync();
        await SqlAsync(server, "ALTER TABLE WebhookDB DROP COLUMN SkippedUpTo; PRAGMA user_version = 1");

        await server.StartAsync();
        var bot = new HttpUser(server.Http, "bot");
        await new HttpUser(server.Http, "alice").SendAsync("bot", "poison");
        await Deadline.UntilAsync(async () => (await bot.GetAsync("/webhook")).Body.Contains("deadLetters", StringComparison.Ordinal),
            "the dead letter");
    }

    [Theory]
    [InlineData("http://127.0.0.1:{port}/messages?user=carol")]
    [InlineData("http://localhost:{port}/messages?user=carol")]
    [InlineData("http://127.0.0.2:{port}/")]
    [InlineData("http://2130706433:{port}/")]
    [InlineData("http://0.0.0.0:{port}/")]
    [InlineData("http://[::1]:{port}/")]
    [InlineData("http://[::ffff:127.0.0.1]:{port}/")]
    public async Task A_webhook_at_the_server_itself_is_refused(string url)
    {
        var hosts = "127.0.0.1 localhost 127.0.0.2 0.0.0.0 [::1] [::ffff:127.0.0.1]".Split(' ');
        await using var server = await new ChatServer().With(hosts.Select((host, i) => ($"Webhooks:AllowedHosts:{i}", host))).StartAsync();
        var answer = await RegisterAsync(new HttpUser(server.Http, "bot"),
            url.Replace("{port}", $"{server.Url.Port}", StringComparison.Ordinal));
        answer.AssertProblem(400);
        Assert.Contains("this server itself", answer.Body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_webhook_that_has_come_to_lead_to_the_server_itself_is_not_called()
    {
        var url = LoopbackPort.FreeUrl();
        await using var server = await StartAsync(("urls", url));
        await server.StopAsync();
        await SqlAsync(server, $"INSERT INTO WebhookDB (User, Url, Secret) VALUES ('bot', '{url}/messages?user=carol', '{Secret}')");
        await server.StartAsync();
        var bot = new HttpUser(server.Http, "bot");
        await new HttpUser(server.Http, "alice").SendAsync("bot", """{"to":"bot","text":"again"}""");
        await Deadline.UntilAsync(
            async () => (await bot.GetAsync("/webhook")).Body.Contains("failure", StringComparison.Ordinal), "the failure");
        Assert.Single(await bot.InboxAsync());
        Assert.Contains(server.Log.Entries, entry => entry.Message.Contains("this server itself", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_secret_is_gone_from_the_files_soon_after_its_replacement_and_its_deletion()
    {
        await using var server = await StartAsync();
        await using var receiver = await Receiver.StartAsync();
        var secrets = Enumerable.Range(0, 60).Select(_ => "whsec_" + Convert.ToBase64String(RandomNumberGenerator.GetBytes(48))).ToList();
        for (var i = 0; i < secrets.Count; i++) // 40 users: more than a page of the file holds, so that pages are split and merged
            await RegisterAsync(new HttpUser(server.Http, $"bot{i % 40}"), receiver.Url, secrets[i]);
        Assert.True(Holds(secrets[59]), "A secret that is in use was not found.");
        await Deadline.UntilAsync(() => Task.FromResult(!secrets.Take(20).Any(Holds)), "the end of the secrets that were replaced");
        for (var i = 0; i < 40; i++)
            Assert.Equal(204, (await new HttpUser(server.Http, $"bot{i}").RequestAsync(HttpMethod.Delete, "/webhook")).Status);
        await Deadline.UntilAsync(() => Task.FromResult(!secrets.Any(Holds)), "the end of the secrets that were deleted");

        bool Holds(string secret) => Directory.GetFiles(Path.GetDirectoryName(server.DatabasePath)!)
            .Where(path => !path.EndsWith(".lock", StringComparison.Ordinal))
            .Any(path =>
            {
                using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
                var bytes = new byte[file.Length];
                file.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
                return bytes.AsSpan().IndexOf(Encoding.ASCII.GetBytes(secret)) >= 0;
            });
    }

    [Fact]
    public async Task Nobody_is_online_by_a_webhook_nor_has_fewer_connections_for_it()
    {
        await using var server = await StartAsync(("Chat:ConnectionsPerUser", "1"));
        await using var receiver = await Receiver.StartAsync();
        var alice = new HttpUser(server.Http, "alice");
        await RegisterAsync(new HttpUser(server.Http, "bot"), receiver.Url);
        await alice.SendAsync("bot", "hi");
        await receiver.NextAsync();
        Assert.False(await alice.SeesOnlineAsync("bot"));
        await using var bot = await ChatClient.ConnectAsync(server.Url, "bot");
        Assert.True(await alice.SeesOnlineAsync("bot"));
    }

    [Theory]
    [InlineData(500)]
    [InlineData(Receiver.Hang)]
    public async Task A_server_that_stops_waits_for_no_receiver(int answer)
    {
        await using var server = await new ChatServer().StartAsync();
        await using var receiver = await Receiver.StartAsync((_, _) => answer);
        await RegisterAsync(new HttpUser(server.Http, "bot"), receiver.Url);
        await new HttpUser(server.Http, "alice").SendAsync("bot", "hi");
        await receiver.NextAsync();
        var clock = System.Diagnostics.Stopwatch.StartNew();
        await server.StopAsync();
        Assert.True(clock.Elapsed < TimeSpan.FromSeconds(2), $"It took {clock.Elapsed}.");
    }

    private static async Task SqlAsync(ChatServer server, string sql)
    {
        await using var connection = new Microsoft.Data.Sqlite.SqliteConnection($"Data Source={server.DatabasePath};Pooling=False");
        await connection.OpenAsync();
        await using var command = connection.CreateCommand();
        command.CommandText = sql;
        await command.ExecuteNonQueryAsync();
    }

    private static Task<ChatServer> StartAsync(params (string Key, string Value)[] settings) => StartAsync(time: null, settings);

    private static Task<ChatServer> StartAsync(TimeProvider? time, params (string Key, string Value)[] settings) => new ChatServer
    {
        Time = time,
        ["Webhooks:AllowedHosts:0"] = "127.0.0.1",
        ["Webhooks:AllowedNetworks:0"] = "127.0.0.0/8",
        ["Webhooks:FirstRetry"] = "00:00:00.02",
        ["Webhooks:Timeout"] = "00:00:10", // no call of a test is made twice because the machine is slow
    }.With(settings).StartAsync();

    private static Task<HttpAnswer> RegisterAsync(HttpUser bot, string url, string secret = Secret) =>
        bot.RequestAsync(HttpMethod.Put, "/webhook",
            new StringContent(JsonSerializer.Serialize(new { url, secret }), Encoding.UTF8, "application/json"));

    /// <param name="Id"><c>webhook-id</c>.</param>
    /// <param name="Timestamp"><c>webhook-timestamp</c>.</param>
    /// <param name="Signature"><c>webhook-signature</c>.</param>
    /// <param name="Body">The message.</param>
    /// <param name="At">When it came, by the stopwatch.</param>
    private sealed record Call(string Id, string Timestamp, string Signature, string Body, long At)
    {
        public Frame Message => Frame.Parse(Body);
    }

    /// <summary>Somebody else's server: answers as it is told, then 200.</summary>
    private sealed class Receiver : IAsyncDisposable
    {
        public const int Hang = -1;

        private readonly WebApplication _app;
        private readonly Channel<Call> _calls = Channel.CreateUnbounded<Call>();
        private int _count;

        private Receiver(Func<int, string, int> answers, string? retryAfter = null)
        {
            var builder = WebApplication.CreateSlimBuilder();
            builder.Logging.ClearProviders();
            _app = builder.Build();
            _app.Urls.Add("http://127.0.0.1:0");
            _app.Run(async context =>
            {
                var at = System.Diagnostics.Stopwatch.GetTimestamp();
                using var body = new StreamReader(context.Request.Body);
                var text = await body.ReadToEndAsync();
                var headers = context.Request.Headers;
                var answer = answers(Interlocked.Increment(ref _count), text);
                _calls.Writer.TryWrite(
                    new Call(headers["webhook-id"]!, headers["webhook-timestamp"]!, headers["webhook-signature"]!, text, at));
                await Answering;
                if (answer == Hang)
                    await Task.Delay(Timeout.Infinite, context.RequestAborted).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                else
                    context.Response.StatusCode = answer;
                if (answer is >= 300 and < 400)
                    context.Response.Headers.Location = "/elsewhere";
                if (answer is 429 or 503)
                    context.Response.Headers.RetryAfter = retryAfter;
            });
        }

        public string Url =>
            _app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single() + "/hook";

        public int Calls => Volatile.Read(ref _count);

        /// <summary>Answers are held back until this is complete.</summary>
        public Task Answering { get; set; } = Task.CompletedTask;

        /// <summary>Gives these answers, then 200.</summary>
        public static Task<Receiver> StartAsync(params int[] answers) =>
            StartAsync((number, _) => number <= answers.Length ? answers[number - 1] : 200);

        /// <param name="answers">The status for a call, by its number, counted from 1, and its body.</param>
        /// <param name="retryAfter">What 429 and 503 carry.</param>
        public static async Task<Receiver> StartAsync(Func<int, string, int> answers, string? retryAfter = null)
        {
            var receiver = new Receiver(answers, retryAfter);
            await receiver._app.StartAsync();
            return receiver;
        }

        public Task<Call> NextAsync() => _calls.Reader.ReadAsync().AsTask().OrFail("a call");

        public ValueTask DisposeAsync() => _app.DisposeAsync();
    }
}
