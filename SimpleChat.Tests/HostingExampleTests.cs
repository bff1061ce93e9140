using System.Diagnostics;
using System.Net.Http.Json;
using System.Net.WebSockets;
using System.Text;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.AspNetCore.TestHost;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;

namespace SimpleChat.Tests;

/// <summary>The example of docs/testing-your-app.md, word for word.</summary>
public sealed class HostingExampleTests
{
    private readonly string _database = Path.Combine(Directory.CreateTempSubdirectory().FullName, "chat.db");

    [Fact]
    public async Task Alice_and_bob_chat_inside_a_test()
    {
        await using var server = new WebApplicationFactory<Program>()
            .WithWebHostBuilder(host => host.UseSetting("ConnectionStrings:Chat", $"Data Source={_database}"));

        using var alice = await ConnectAsync("alice");
        using var bob = await ConnectAsync("bob");
        await SendAsync(alice, """{"to":"bob","text":"hi"}""");

        Assert.Equal("""{"type":"connected","user":"bob","maxMessageBytes":65536}""", await ReceiveAsync(bob));
        Assert.StartsWith("""{"type":"message","id":1,"from":"alice","to":"bob","text":"hi","sentAt":""", await ReceiveAsync(bob));

        Task<WebSocket> ConnectAsync(string user) =>
            server.Server.CreateWebSocketClient().ConnectAsync(new Uri($"ws://localhost/chat?user={user}"), CancellationToken.None);

        static Task SendAsync(WebSocket socket, string frame) =>
            socket.SendAsync(Encoding.UTF8.GetBytes(frame), WebSocketMessageType.Text, endOfMessage: true, CancellationToken.None);

        static async Task<string> ReceiveAsync(WebSocket socket)
        {
            var buffer = new byte[4096]; // enough for these frames; a real client reads on until EndOfMessage
            var frame = await socket.ReceiveAsync(buffer, CancellationToken.None);
            return Encoding.UTF8.GetString(buffer, 0, frame.Count);
        }
    }

    [Fact]
    public async Task The_clock_is_the_tests()
    {
        var clock = new FakeTimeProvider(new DateTimeOffset(2030, 1, 1, 12, 0, 0, TimeSpan.Zero));
        await using var server = new WebApplicationFactory<Program>().WithWebHostBuilder(host => host
            .UseSetting("ConnectionStrings:Chat", $"Data Source={_database}")
            .ConfigureTestServices(services => services.AddSingleton<TimeProvider>(clock)));
        using var http = server.CreateClient();

        await http.PostAsJsonAsync("/messages?user=alice", new { to = "bob", text = "at noon" });
        clock.Advance(TimeSpan.FromMinutes(1));
        await http.PostAsJsonAsync("/messages?user=alice", new { to = "bob", text = "a minute later" });

        var inbox = await http.GetStringAsync("/inbox?user=bob");
        Assert.Contains("\"at noon\",\"sentAt\":\"2030-01-01T12:00:00.000Z\"", inbox);
        Assert.Contains("\"a minute later\",\"sentAt\":\"2030-01-01T12:01:00.000Z\"", inbox);
    }

    [Fact]
    public async Task What_was_sent_survives_a_kill()
    {
        using (var server = Start())
        using (var http = await ListensAsync(server))
        {
            await http.PostAsJsonAsync("/messages?user=alice", new { to = "bob", text = "survives" });
            server.Kill();
            await server.WaitForExitAsync();
        }

        using var next = Start();
        using (var http = await ListensAsync(next))
            Assert.Contains("survives", await http.GetStringAsync("/inbox?user=bob"));
        next.Kill();

        Process Start() => Process.Start(new ProcessStartInfo("dotnet",
            [typeof(Program).Assembly.Location, "--environment=Development", "--urls=http://127.0.0.1:0",
                $"--ConnectionStrings:Chat=Data Source={_database}"])
        { RedirectStandardOutput = true })!;

        static async Task<HttpClient> ListensAsync(Process server)
        {
            var line = "";
            while (!line.StartsWith("SimpleChat listens on ", StringComparison.Ordinal)) // … http://127.0.0.1:41234. Try: …
                line = await server.StandardOutput.ReadLineAsync() ?? throw new InvalidOperationException("The server did not start.");
            return new HttpClient { BaseAddress = new Uri(line.Split(' ')[3].TrimEnd('.')) };
        }
    }
}
