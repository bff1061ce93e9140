using System.Diagnostics;
using System.Net.Sockets;

namespace SimpleChat.Tests.Batteries;

/// <summary>Chapter "The inbox over HTTP": presence of those who vanished.</summary>
[Trait("Category", Battery.Category)]
public sealed class VanishedPeerTests
{
    [CableFact]
    public async Task A_stream_and_a_waiting_poll_are_online_until_the_keep_alive_time_out_after_the_peer_vanished_and_no_longer()
    {
        using var folder = new TempFolder();
        var door = folder.File("socket"); // through which alice comes, who has no cable
        using var cable = new Cable();
        await using var server = await new ChatProcess
        {
            DatabasePath = folder.DatabasePath,
            Under = cable.AtThisEnd,
            ["urls"] = $"http://{Cable.Address}:5080;http://unix:{door}",
            ["AllowedHosts"] = "127.0.0.1;chat",
            ["Chat:KeepAliveInterval"] = "00:00:02",
            ["Chat:KeepAliveTimeout"] = "00:00:03",
        }.StartAsync();
        cable.Ask(server.Url.Port, "/inbox/stream?user=streamer");
        cable.Ask(server.Url.Port, "/inbox?wait=60&user=poller");
        using var byTheDoor = new SocketsHttpHandler { ConnectCallback = (_, cancel) => OpenAsync(door, cancel) };
        using var http = new HttpClient(byTheDoor) { BaseAddress = new Uri("http://127.0.0.1") };
        var alice = new HttpUser(http, "alice");
        await Deadline.UntilAsync(async () => await alice.SeesOnlineAsync("streamer") && await alice.SeesOnlineAsync("poller"),
            "both are online");
        var there = Stopwatch.StartNew();
        await Deadline.UntilAsync(() => Task.FromResult(there.Elapsed > TimeSpan.FromSeconds(6)), "longer than a vanished one would stay");
        Assert.True(await alice.SeesOnlineAsync("streamer") && await alice.SeesOnlineAsync("poller"));

        cable.Cut();
        var gone = Stopwatch.StartNew();
        await Deadline.UntilAsync(async () => !await alice.SeesOnlineAsync("streamer") && !await alice.SeesOnlineAsync("poller"),
            "both are offline");
        Assert.InRange(gone.Elapsed.TotalSeconds, 0, 6); // 5, and what the machine takes
        Assert.DoesNotContain(server.Output, line => line.Contains("fail: ", StringComparison.Ordinal));
    }

    private static async ValueTask<Stream> OpenAsync(string door, CancellationToken cancel)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(door), cancel);
        return new NetworkStream(socket, ownsSocket: true);
    }
}
