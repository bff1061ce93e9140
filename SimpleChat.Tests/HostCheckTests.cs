namespace SimpleChat.Tests;

/// <summary>
/// Under which names the server answers: in Development only those of this machine, so that no web page can give its own name this address.
/// </summary>
public sealed class HostCheckTests
{
    [Theory]
    [InlineData("localhost", 200)]
    [InlineData("LOCALHOST:5080", 200)]
    [InlineData("127.0.0.1", 200)]
    [InlineData("[::1]:5080", 200)]
    [InlineData("evil.example", 400)]
    [InlineData("localhost.evil.example", 400)]
    [InlineData("127.0.0.1.nip.io:5080", 400)]
    [InlineData("192.168.1.7", 400)]
    [InlineData("", 400)]
    [InlineData(null, 400)] // HTTP/1.0 needs none
    public async Task In_Development_only_this_machine_s_names_are_answered(string? host, int status)
    {
        await using var server = await ChatServer.StartNewAsync();
        foreach (var path in new[] { "/inbox?user=alice", "/", "/alive" })
        {
            using var line = await RawHttp.ConnectAsync(server.Url);
            var answer = await line.AskAsync(
                host is null ? $"GET {path} HTTP/1.0\r\n\r\n" : $"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
            Assert.Equal(status, answer.Status);
            if (status == 400 && host is not null) // to HTTP/1.0 a body ends with the connection
                answer.AssertProblem(400);
        }
    }

    [Fact]
    public async Task A_listed_name_is_answered_and_a_star_stands_for_every_name_below()
    {
        await using var server = await new ChatServer { ["AllowedHosts"] = "chat.example.org; *.chat.example.org" }.StartAsync();
        foreach (var (host, status) in new[]
        {
            ("chat.example.org", 200), ("a.chat.example.org:80", 200), ("example.org", 400), ("localhost", 400),
        })
        {
            using var line = await RawHttp.ConnectAsync(server.Url);
            Assert.Equal(status, (await line.AskAsync($"GET /inbox?user=alice HTTP/1.1\r\nHost: {host}\r\n\r\n")).Status);
        }
    }

    [Fact]
    public async Task Elsewhere_any_name_is_answered_unless_some_are_listed()
    {
        await using var server = await new ChatServer { Environment = "Production" }.With(new Jwt().Settings).StartAsync();
        foreach (var head in new[] { "HTTP/1.1\r\nHost: 10.0.0.7:5080", "HTTP/1.1\r\nHost:", "HTTP/1.0" })
        {
            using var line = await RawHttp.ConnectAsync(server.Url);
            Assert.Equal(200, (await line.AskAsync($"GET /alive {head}\r\n\r\n")).Status);
        }
    }
}
