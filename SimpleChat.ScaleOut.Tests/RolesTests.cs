using System.Net;
using System.Net.Http.Headers;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;
using SimpleChat.ScaleOut.Roles;

namespace SimpleChat.Tests;

/// <summary>Nodes that have connections alone, and the service that stores for them.</summary>
public sealed class RolesTests
{
    [Fact]
    public async Task I1_I2_I3_A_message_goes_the_whole_way_with_the_service_apart()
    {
        await using var server = await new ChatServer { Apart = true }.StartAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        await using var bob = await ChatClient.ConnectAsync(server.Url, "bob", "chat.ack");
        var sent = await alice.SendAndConfirmAsync("bob", "hi", "1");
        Assert.Equal(sent.Id, (await bob.FindAsync("message")).Id);
        await bob.AckAsync(sent.Id);
        Assert.Equal(sent.Id, (await alice.FindAsync("delivered")).Id);
        Assert.Equal(sent.Id, (await alice.SendAndConfirmAsync("bob", "hi", "1")).Id); // a repeat
        var text = new string('x', 60_000); // beyond what one part of an answer holds
        for (var i = 0; i < 5; i++)
            await alice.SendAndConfirmAsync("carol", text);

        var http = new HttpUser(server.Http, "carol");
        Assert.Equal([text, text, text, text, text], (await http.InboxAsync()).Select(message => message.Body));
        Assert.Equal([2, 3, 4, 5, 6], (await http.GetAsync("/messages?limit=200")).Messages.Select(message => message.Id));
        Assert.Equal([6, 1], (await new HttpUser(server.Http, "alice").GetAsync("/conversations")).Conversations.Select(last => last.Id));
        await using var again = await ChatClient.ConnectAsync(server.Url, "carol", after: 1);
        Assert.Equal([2, 3, 4, 5, 6], (await again.MessagesAsync(5)).Select(message => message.Id));
        await alice.SendAsync("bob", "other", "1");
        Assert.Equal("client_message_id_reused", (await alice.FindAsync("error")).Code);
        Assert.Empty(server.Log.Faults);
    }

    [Fact]
    public async Task A_registered_webhook_is_known_to_the_nodes_and_to_the_service()
    {
        await using var server = await new ChatServer
        {
            Apart = true,
            ["Webhooks:AllowedHosts:0"] = "127.0.0.1",
            ["Webhooks:AllowedNetworks:0"] = "127.0.0.0/8",
        }.StartAsync();
        var bot = new HttpUser(server.Http, "bot");
        const string Webhook = """{"url":"http://127.0.0.1:1/chat","secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}""";
        var answer = await bot.RequestAsync(HttpMethod.Put, "/webhook", new StringContent(Webhook, Encoding.UTF8, "application/json"));
        Assert.Equal(201, answer.Status);
        await Deadline.UntilAsync(
            async () => (await bot.GetAsync("/webhook")).Status + (await bot.GetAsync("/webhook")).Status == 400, "both nodes to know it");
        Assert.Equal(204, (await bot.RequestAsync(HttpMethod.Delete, "/webhook")).Status);
        Assert.Equal(0, await server.CountAsync("SELECT count(*) FROM WebhookDB"));
    }

    [Fact]
    public async Task I9_A_service_that_is_away_costs_refusals_at_once_and_the_nodes_go_on_when_it_is_back()
    {
        await using var server = await new ChatServer { Apart = true }.StartAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        await using var bob = await ChatClient.ConnectAsync(server.Url, "bob");
        await alice.SendAndConfirmAsync("bob", "before");
        await server.StopServiceAsync();
        await alice.SendAsync("bob", "meanwhile", "1");
        Assert.Equal("storage_unavailable", (await alice.FindAsync("error")).Code);
        var http = new HttpUser(server.Http, "bob");
        Assert.Equal(503, (await http.GetAsync("/messages")).Status);
        Assert.Contains(server.Inner, (await http.GetAsync("/health")).Body, StringComparison.Ordinal);
        server.StartService();
        await Deadline.UntilAsync(async () =>
        {
            await alice.SendAsync("bob", "meanwhile", "1");
            return (await alice.ReceiveAsync()).Type == "sent";
        }, "the end of the fault");
        Assert.Equal(["before", "meanwhile"], (await bob.MessagesAsync(2)).Select(message => message.Body));
        Assert.Equal(2, await server.CountAsync("SELECT count(*) FROM MessageDB"));
    }

    [Fact]
    public async Task A_caller_without_the_secret_is_refused_in_one_line_and_the_public_address_serves_no_inner_call()
    {
        await using var server = await new ChatServer { Apart = true }.StartAsync();
        foreach (var wrong in (string?[])[null, "", Roles.Secret[1..], Roles.Secret + "0", Roles.Secret.ToUpperInvariant()])
            Assert.Equal(HttpStatusCode.Unauthorized, await CallAsync(server.Inner, wrong, InnerWire.PathOf("look"), []));
        var line = Assert.Single(server.Log.Entries, entry => entry.Message.Contains("wrong_secret", StringComparison.Ordinal));
        Assert.DoesNotContain(Roles.Secret[1..], string.Join('\n', server.Log.Entries), StringComparison.OrdinalIgnoreCase);
        Assert.Contains("127.0.0.1", line.Message, StringComparison.Ordinal);

        Assert.Equal(HttpStatusCode.OK, await CallAsync(server.Inner, Roles.Secret, InnerWire.PathOf("look"), []));
        Assert.Equal(HttpStatusCode.NotFound, await CallAsync(server.Inner, Roles.Secret, "/2/look", [])); // another version
        Assert.Equal(HttpStatusCode.NotFound, await CallAsync(server.Inner, Roles.Secret, "/alive", []));
        using var http = new HttpClient();
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", Roles.Secret);
        foreach (var address in (Uri[])[server.ServiceUrl, server.Url])
        {
            Assert.Equal(404, (int)(await http.PostAsync(new Uri(address, InnerWire.PathOf("look")), null)).StatusCode);
            Assert.Equal(200, (int)(await http.GetAsync(new Uri(address, "/health"))).StatusCode);
        }

        Assert.Equal(404, (int)(await http.GetAsync(new Uri(server.ServiceUrl, "/inbox?user=alice"))).StatusCode);
    }

    [Theory]
    [InlineData(1)] // cut off in the midst of a batch
    [InlineData(-1)] // something behind its end
    public async Task Of_a_batch_that_is_not_whole_nothing_is_stored(int missing)
    {
        await using var server = await new ChatServer { Apart = true }.StartAsync();
        var batch = Batch(TimeSpan.MaxValue, "whole", "never whole");
        var broken = missing > 0 ? batch[..^missing] : [.. batch, 0];
        Assert.Equal(HttpStatusCode.BadRequest, await CallAsync(server.Inner, Roles.Secret, InnerWire.PathOf("store"), broken));
        await CallHalfAsync(server.Inner, batch);
        Assert.Equal(0, await server.CountAsync("SELECT count(*) FROM MessageDB"));
        Assert.Equal(HttpStatusCode.OK, await CallAsync(server.Inner, Roles.Secret, InnerWire.PathOf("store"), batch));
        Assert.Equal(2, await server.CountAsync("SELECT count(*) FROM MessageDB"));
    }

    [Fact]
    public async Task A_batch_whose_node_has_given_up_is_not_stored_any_more()
    {
        await using var server = await new ChatServer { Apart = true }.StartAsync();
        var late = Batch(TimeProvider.System.GetElapsedTime(0), "late");
        Assert.Equal(
            HttpStatusCode.ServiceUnavailable, await CallAsync(server.Inner, Roles.Secret, InnerWire.PathOf("store"), late));
        Assert.Equal(0, await server.CountAsync("SELECT count(*) FROM MessageDB"));
    }

    [Theory]
    [InlineData("ScaleOut:Secret", "another0another0another0another0", "does not know this node's ScaleOut:Secret")]
    [InlineData("ScaleOut:Secret", "too-short", "ScaleOut:Secret must be at least 32")]
    [InlineData("ScaleOut:Service", "http://127.0.0.1:1", "cannot be reached")]
    [InlineData("ScaleOut:Service", "", "ScaleOut:Service is ''")]
    [InlineData("ScaleOut:Service", "another release", "is of another release")]
    [InlineData("ConnectionStrings:Postgres", "Host=127.0.0.1", "ConnectionStrings:Postgres is set")]
    public async Task A_node_without_a_service_that_it_can_use_ends_with_one_line_and_exit_code_1(string key, string value, string why)
    {
        await using var server = await new ChatServer { Apart = true }.StartAsync();
        await using var other = new OtherRelease();
        var settings = Roles.Connections(server.Inner).Append(("ConnectionStrings:Redis", Engines.Shared.NewRedis()))
            .Where(setting => setting.Item1 != key).Append((key, value == "another release" ? other.Url : value));
        using var errors = new StringWriter();
        var node = Server.RunAsync(
            [
                "--applicationName=SimpleChat.ScaleOut", "--hostBuilder:reloadConfigOnChange=false", "--environment=Development",
                "--urls=http://127.0.0.1:0", .. Roles.Arguments(settings),
            ],
            builder =>
            {
                builder.AddChat();
                builder.AddNode();
            }, errors, app => app.UseNode());
        Assert.Equal(1, await node.OrFail("its end"));
        var line = Assert.Single(errors.ToString().TrimEnd().Split('\n'));
        Assert.Contains(why, line, StringComparison.Ordinal);
        Assert.DoesNotContain("another0", line, StringComparison.Ordinal);
    }

    /// <summary>A batch of messages of alice's to bob, as a node sends it.</summary>
    private static byte[] Batch(TimeSpan deadline, params string[] texts)
    {
        using var bytes = new MemoryStream();
        using var writer = new BinaryWriter(bytes, Encoding.UTF8);
        writer.Write(deadline.Ticks);
        foreach (var text in texts)
        {
            writer.Write((byte)BatchItem.Store);
            writer.WriteDraft(new Draft("alice", "bob", Encoding.UTF8.GetBytes(text), null, 0));
        }

        writer.Write((byte)BatchItem.End);
        return bytes.ToArray();
    }

    private static async Task<HttpStatusCode> CallAsync(string inner, string? secret, string path, byte[] body)
    {
        using var http = new HttpMessageInvoker(new SocketsHttpHandler());
        using var request = NewRequest(inner, path, new ByteArrayContent(body));
        if (secret is not null)
            request.Headers.TryAddWithoutValidation("Authorization", $"Bearer {secret}");
        using var answer = await http.SendAsync(request, CancellationToken.None).OrFail("an answer");
        return answer.StatusCode;
    }

    /// <summary>Sends half of a body, and then leaves.</summary>
    private static async Task CallHalfAsync(string inner, byte[] body)
    {
        using var http = new HttpMessageInvoker(new SocketsHttpHandler());
        using var request = NewRequest(inner, InnerWire.PathOf("store"), new HalfContent(body));
        request.Headers.TryAddWithoutValidation("Authorization", $"Bearer {Roles.Secret}");
        await Assert.ThrowsAnyAsync<Exception>(() => http.SendAsync(request, CancellationToken.None));
    }

    private static HttpRequestMessage NewRequest(string inner, string path, HttpContent content) => new(HttpMethod.Post, inner + path)
    {
        Version = HttpVersion.Version20,
        VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        Content = content,
    };

    private sealed class HalfContent(byte[] bytes) : HttpContent
    {
        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
        {
            await stream.WriteAsync(bytes.AsMemory(0, bytes.Length / 2));
            await stream.FlushAsync();
            throw new IOException("The node dies.");
        }

        protected override bool TryComputeLength(out long length)
        {
            length = bytes.Length;
            return true;
        }
    }

    /// <summary>A service that knows no call of this version.</summary>
    private sealed class OtherRelease : IAsyncDisposable
    {
        private readonly WebApplication _app;

        public OtherRelease()
        {
            var builder = WebApplication.CreateSlimBuilder();
            builder.Logging.ClearProviders();
            builder.WebHost.ConfigureKestrel(
                kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http2));
            _app = builder.Build();
            _app.StartAsync().GetAwaiter().GetResult();
        }

        public string Url => _app.Urls.Single();

        public ValueTask DisposeAsync() => _app.DisposeAsync();
    }
}
