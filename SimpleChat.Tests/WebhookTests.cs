using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Threading.Channels;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

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
        await using var server = await StartAsync();
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
        await using var server = new ChatServer { Environment = "Production", ["Webhooks:AllowedHosts:0"] = "localhost", ["Webhooks:FirstRetry"] = "00:00:00.02" };
        foreach (var (key, value) in tokens.Settings)
            server[key] = value;
        await server.StartAsync();
        await using var receiver = await Receiver.StartAsync();
        var bot = new HttpUser(server.Http, null, tokens.Token("bot"));
        Assert.Equal(201, (await RegisterAsync(bot, receiver.Url.Replace("127.0.0.1", "localhost", StringComparison.Ordinal))).Status);
        await new HttpUser(server.Http, null, tokens.Token("alice")).SendAsync("bot", "hi");

        await Deadline.UntilAsync(async () => (await bot.GetAsync("/webhook")).Body.Contains("failure", StringComparison.OrdinalIgnoreCase), "a failure");
        Assert.Single(await bot.InboxAsync());
        Assert.Equal(0, receiver.Calls);
    }

    private static Task<ChatServer> StartAsync() => new ChatServer
    {
        ["Webhooks:AllowedHosts:0"] = "127.0.0.1",
        ["Webhooks:AllowedNetworks:0"] = "127.0.0.0/8",
        ["Webhooks:FirstRetry"] = "00:00:00.02",
        ["Webhooks:Timeout"] = "00:00:00.5",
    }.StartAsync();

    private static Task<HttpAnswer> RegisterAsync(HttpUser bot, string url, string secret = Secret) =>
        bot.RequestAsync(HttpMethod.Put, "/webhook", new StringContent(JsonSerializer.Serialize(new { url, secret }), Encoding.UTF8, "application/json"));

    private sealed record Call(string Id, string Timestamp, string Signature, string Body)
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

        private Receiver(int[] answers)
        {
            var builder = WebApplication.CreateSlimBuilder();
            builder.Logging.ClearProviders();
            _app = builder.Build();
            _app.Urls.Add("http://127.0.0.1:0");
            _app.Run(async context =>
            {
                using var body = new StreamReader(context.Request.Body);
                var text = await body.ReadToEndAsync();
                var headers = context.Request.Headers;
                var answer = Interlocked.Increment(ref _count) is var number && number <= answers.Length ? answers[number - 1] : 200;
                _calls.Writer.TryWrite(new Call(headers["webhook-id"]!, headers["webhook-timestamp"]!, headers["webhook-signature"]!, text));
                if (answer == Hang)
                    await Task.Delay(Timeout.Infinite, context.RequestAborted).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                else
                    context.Response.StatusCode = answer;
                if (answer is >= 300 and < 400)
                    context.Response.Headers.Location = "/elsewhere";
            });
        }

        public string Url => _app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single() + "/hook";

        public int Calls => Volatile.Read(ref _count);

        public static async Task<Receiver> StartAsync(params int[] answers)
        {
            var receiver = new Receiver(answers);
            await receiver._app.StartAsync();
            return receiver;
        }

        public Task<Call> NextAsync() => _calls.Reader.ReadAsync().AsTask().OrFail("a call");

        public ValueTask DisposeAsync() => _app.DisposeAsync();
    }
}
