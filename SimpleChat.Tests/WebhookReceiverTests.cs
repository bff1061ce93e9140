using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;

namespace SimpleChat.Tests;

/// <summary>Receivers of webhooks that keep to no protocol, and what that costs: one call, and nobody else anything.</summary>
public sealed class WebhookReceiverTests
{
    private const string Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    [Theory]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nnot a thousand")]
    [InlineData("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")] // and no more, for ever
    [InlineData("HTTP/1.1 204 No Content\r\n\r\nbut here is some")]
    public async Task What_follows_a_2xx_is_not_waited_for(string answer)
    {
        await using var server = await StartAsync();
        using var receiver = new Liar(answer);
        await RegisterAsync(server, receiver.Url);
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        foreach (var text in (string[])["one", "two", "three"])
        {
            var sent = await alice.SendAndConfirmAsync("bot", text);
            Assert.Equal(sent.Id, (await alice.FindAsync("delivered")).Id);
        }

        Assert.Empty(server.Log.Faults);
    }

    [Theory]
    [InlineData("SSH-2.0-not_HTTP_at_all\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\nX-Long: {long}\r\n\r\n")]
    [InlineData("")] // hangs up
    [InlineData(null)] // does not listen
    public async Task What_is_no_answer_is_a_failure_whose_words_are_the_same_whatever_is_there(string? answer)
    {
        await using var server = await StartAsync();
        using var receiver = new Liar(answer?.Replace("{long}", new string('x', 100_000), StringComparison.Ordinal) ?? "", mayReform: true);
        var (alice, bot) = (new HttpUser(server.Http, "alice"), new HttpUser(server.Http, "bot"));
        await RegisterAsync(server, answer is null ? "http://127.0.0.1:1/" : receiver.Url);
        await alice.SendAsync("bot", "hi");
        await Deadline.UntilAsync(
            async () => (await bot.GetAsync("/webhook")).Body.Contains("failure", StringComparison.Ordinal), "the failure");
        Assert.Equal("It could not be reached.", (await bot.GetAsync("/webhook")).Json.Text("failure"));
        Assert.DoesNotContain(server.Log.Entries, entry => entry.ToString().Contains("SSH", StringComparison.Ordinal));
        Assert.Empty(server.Log.Faults);
        if (answer is null)
            return;

        receiver.Reform.SetResult();
        await Deadline.UntilAsync(async () => (await bot.InboxAsync()).Count == 0, "the delivery");
    }

    private static Task<ChatServer> StartAsync() => new ChatServer
    {
        ["Webhooks:FirstRetry"] = "00:00:00.05",
        ["Webhooks:LongestRetry"] = "00:00:00.2",
    }.StartAsync();

    private static async Task RegisterAsync(ChatServer server, string url)
    {
        using var body = new StringContent(JsonSerializer.Serialize(new { url, secret = Secret }), Encoding.UTF8, "application/json");
        Assert.Equal(201, (await new HttpUser(server.Http, "bot").RequestAsync(HttpMethod.Put, "/webhook", body)).Status);
    }

    /// <summary>Answers every call with these bytes; if it may reform, honestly from then on.</summary>
    private sealed class Liar : IDisposable
    {
        private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
        private readonly List<TcpClient> _clients = [];

        public Liar(string answer, bool mayReform = false)
        {
            _listener.Start();
            _ = RunAsync(Encoding.ASCII.GetBytes(answer), !mayReform);
        }

        public TaskCompletionSource Reform { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public string Url => $"http://127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}/hook";

        public void Dispose()
        {
            _listener.Stop();
            lock (_clients)
                _clients.ForEach(client => client.Dispose());
        }

        private async Task RunAsync(byte[] answer, bool liesForEver)
        {
            try
            {
                while (true)
                    _ = ServeAsync(await _listener.AcceptTcpClientAsync(), answer, liesForEver);
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                // The test is over.
            }
        }

        private async Task ServeAsync(TcpClient client, byte[] answer, bool liesForEver)
        {
            lock (_clients)
                _clients.Add(client);
            try
            {
                var request = new byte[16 * 1024];
                if (await client.GetStream().ReadAtLeastAsync(request, 1, throwOnEndOfStream: false) == 0)
                    return;
                var isHonest = !liesForEver && Reform.Task.IsCompleted;
                await client.GetStream().WriteAsync(isHonest ? "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"u8.ToArray() : answer);
                if (!liesForEver)
                    client.Close();
            }
            catch (Exception e) when (e is IOException or ObjectDisposedException or InvalidOperationException)
            {
                // The caller has seen enough.
            }
        }
    }
}
