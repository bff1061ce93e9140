using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace SimpleChat.Tests;

/// <summary>Behind a proxy: what one that is named in the settings says of the outside counts, and nobody else's word does.</summary>
public sealed class ProxyTests(Browser browser) : IClassFixture<Browser>, IAsyncLifetime
{
    /// <summary>A proxy that ends TLS at chat.example.org, and strips /simplechat.</summary>
    private const string Forwarded = "X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\n" +
        "X-Forwarded-Host: chat.example.org\r\nX-Forwarded-Prefix: /simplechat\r\n";

    private const string Upgrade =
        $"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {Handshake.ExampleKey}\r\n";

    public Task InitializeAsync() => Task.CompletedTask;

    public Task DisposeAsync() => browser.CloseAsync();

    [Theory]
    [InlineData("AllowedOrigins", "unused")]
    [InlineData("ForwardedHeaders_Enabled", "true")] // as ASPNETCORE_FORWARDEDHEADERS_ENABLED sets it
    [InlineData("ForwardedHeaders:KnownProxies:0", "10.1.2.3")]
    [InlineData("ForwardedHeaders:KnownIPNetworks:0", "10.0.0.0/8")]
    public async Task Nobody_is_believed_who_is_not_named(string key, string value)
    {
        await using var server = await new ChatServer { [key] = value }.StartAsync();
        Assert.Equal(403, (await AskAsync(server, "/inbox?user=alice", "Origin: https://chat.example.org\r\n" + Forwarded)).Status);
        var own = $"Origin: {server.Url.GetLeftPart(UriPartial.Authority)}\r\n";
        Assert.Equal(200, (await AskAsync(server, "/inbox?user=alice", own + Forwarded)).Status);
        Assert.DoesNotContain(server.Log.Entries, entry => entry.ToString().Contains("203.0.113.7", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("KnownProxies", "127.0.0.1")]
    [InlineData("KnownIPNetworks", "127.0.0.0/8")]
    public async Task A_named_proxy_is_believed_about_address_scheme_host_and_prefix(string key, string value)
    {
        await using var server = await new ChatServer
        {
            [$"ForwardedHeaders:{key}:0"] = value,
            ["AllowedHosts"] = "chat.example.org",
        }.StartAsync();
        const string Origin = "Origin: https://chat.example.org\r\n";
        Assert.Equal(200, (await AskAsync(server, "/inbox?user=alice", Origin + Forwarded)).Status);
        Assert.Equal(101, (await AskAsync(server, "/chat?user=alice", Origin + Upgrade + Forwarded)).Status);
        (await AskAsync(server, "/inbox?user=alice", "Origin: http://chat.example.org\r\n" + Forwarded)).AssertProblem(403);
        (await AskAsync(server, "/inbox?user=alice", "X-Forwarded-Host: evil.example\r\n")).AssertProblem(400);
        (await AskAsync(server, "/inbox?user=alice", "")).AssertProblem(400); // the inner name is none of its own
        Assert.Contains("npx -y wscat -c \"wss://chat.example.org/simplechat/chat?user=alice\"",
            Frame.Parse((await AskAsync(server, "/chat", Forwarded)).Body).Text("detail"), StringComparison.Ordinal);
        var description = await AskAsync(server, "/openapi/v1.json", Forwarded);
        Assert.Equal("..", Frame.Parse(description.Body).Json.GetProperty("servers")[0].GetProperty("url").GetString()); // from where it is
        Assert.Contains(server.Log.Entries, entry => entry.ToString().Contains("203.0.113.7", StringComparison.Ordinal));
    }

    [BrowserFact]
    public async Task The_page_and_the_API_work_under_a_path_that_a_proxy_strips()
    {
        await using var server = await new ChatServer { ["ForwardedHeaders:KnownProxies:0"] = "127.0.0.1" }.StartAsync();
        await using var proxy = new StrippingProxy(server.Url, "/simplechat");
        var alice = await browser.OpenAsync(proxy.Url);
        await alice.GetByLabel("Your name").FillAsync("alice");
        await alice.Keyboard.PressAsync("Enter");
        await Expect(alice.Locator("#status")).ToHaveTextAsync("Connected by WebSocket.");
        await alice.GetByLabel("Write to").FillAsync("bob");
        await alice.Keyboard.PressAsync("Enter");
        await alice.GetByLabel("Message", new() { Exact = true }).FillAsync("from below");
        await alice.Keyboard.PressAsync("Enter");
        await Expect(alice.Locator(".message .stored")).ToBeVisibleAsync();
        await Expect(alice.Locator("#presence")).ToHaveTextAsync("away");
        Assert.Equal("from below", Assert.Single(await new HttpUser(server.Http, "bob").InboxAsync()).Body);

        await alice.GetByRole(AriaRole.Button, new() { Name = "Compare the ways" }).ClickAsync();
        await alice.GetByRole(AriaRole.Button, new() { Name = "Send one message" }).ClickAsync();
        await Expect(alice.Locator("#compare-status")).ToHaveTextAsync("All four have message 1.");
        await alice.GetByRole(AriaRole.Button, new() { Name = "Sign out" }).ClickAsync();
        await Expect(alice).ToHaveURLAsync(proxy.Url.AbsoluteUri);
        await Expect(alice.GetByLabel("Your name")).ToBeVisibleAsync();
    }

    private static async Task<RawResponse> AskAsync(ChatServer server, string target, string headers)
    {
        using var line = await RawHttp.ConnectAsync(server.Url);
        return await line.AskAsync($"GET {target} HTTP/1.1\r\nHost: {server.Url.Authority}\r\n{headers}\r\n");
    }
}
