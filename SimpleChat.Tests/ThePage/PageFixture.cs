using System.Globalization;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace SimpleChat.Tests.ThePage;

/// <summary>One browser and one server for all tests of the page; each test has users of its own.</summary>
public sealed class PageFixture : IAsyncLifetime
{
    private static int _names;

    private ChatServer? _server;

    /// <summary>The browser; for tests with a server of their own.</summary>
    internal Browser Browser { get; } = new();

    /// <summary>Where the server is.</summary>
    internal Uri Url => Server.Url;

    internal ChatServer Server => _server ?? throw new InvalidOperationException(Tests.Browser.Missing);

    public async Task InitializeAsync()
    {
        if (Tests.Browser.Missing is not null)
            return;
        _server = await new ChatServer { ["Chat:MessagesPerSecond"] = "0" }.StartAsync();
        await Browser.InitializeAsync();
    }

    public async Task DisposeAsync()
    {
        await Browser.DisposeAsync();
        if (_server is not null)
            await _server.DisposeAsync();
    }

    /// <summary>A name that no other test has.</summary>
    internal static string Name(string name) => string.Create(CultureInfo.InvariantCulture, $"{name}{Interlocked.Increment(ref _names)}");

    /// <summary>Somebody who only sends, over HTTP.</summary>
    internal HttpUser User(string name) => new(Server.Http, name);

    /// <summary>Sends "Message 1", "Message 2", and so on, fast; returns when all are stored.</summary>
    internal Task SendAsync(string from, string to, int count) => SendAsync(Url, from, to, count);

    /// <summary>The same, on a server of one's own.</summary>
    internal static async Task SendAsync(Uri server, string from, string to, int count)
    {
        await using var client = await ChatClient.ConnectAsync(server, from, "chat.ack");
        var stored = StoredAsync(client, count);
        for (var i = 1; i <= count; i++)
            await client.SendAsync(to, string.Create(CultureInfo.InvariantCulture, $"Message {i}"));
        await stored;
    }

    /// <summary>Takes what comes until so many messages are stored: who does not read is not read either.</summary>
    internal static async Task StoredAsync(ChatClient client, int count)
    {
        while (count > 0)
            count -= (await client.ReceiveAsync()).Type == "sent" ? 1 : 0;
    }

    /// <summary>Returns when nothing undelivered is left for this user.</summary>
    internal Task DeliveredAsync(string name) => Deadline.UntilAsync(
        async () => (await User(name).InboxAsync()).Count == 0, "an empty inbox: all of it was acknowledged");

    /// <summary>A browser with nothing in it; see <see cref="Tests.Browser.NewContextAsync"/>.</summary>
    internal Task<IBrowserContext> ContextAsync(ColorScheme scheme = ColorScheme.Light, int width = 1280, int height = 800) =>
        Browser.NewContextAsync(scheme, width, height);

    /// <summary>A tab of that browser, connected.</summary>
    internal async Task<IPage> OpenAsync(IBrowserContext context, string user, string? with = null, Uri? server = null)
    {
        var page = await context.NewPageAsync();
        await page.GotoAsync(Tests.Browser.Address(server ?? Url, user, with));
        await Expect(page.Locator("#status")).ToHaveTextAsync("Connected by WebSocket.");
        return page;
    }

    /// <summary>The first tab of a browser of one's own.</summary>
    internal async Task<IPage> OpenAsync(string user, string? with = null) => await OpenAsync(await ContextAsync(), user, with);

    /// <summary>Closes what a test has opened.</summary>
    internal Task CloseAsync() => Browser.CloseAsync();
}

/// <summary>Its tests run one after the other: they share a browser, and some measure.</summary>
[CollectionDefinition(Name)]
public sealed class PageTests : ICollectionFixture<PageFixture>
{
    public const string Name = "The page";
}
