using System.Net.WebSockets;
using System.Text;
using Microsoft.AspNetCore.Mvc.Testing;

namespace SimpleChat.Tests;

/// <summary>The example of docs/testing-your-app.md, word for word.</summary>
public sealed class HostingExampleTests
{
    [Fact]
    public async Task Alice_and_bob_chat_inside_a_test()
    {
        var folder = Directory.CreateTempSubdirectory();
        await using var server = new WebApplicationFactory<Program>()
            .WithWebHostBuilder(host => host.UseSetting("ConnectionStrings:Chat", $"Data Source={folder.FullName}/chat.db"));

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
}
