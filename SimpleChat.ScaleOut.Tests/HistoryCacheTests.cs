namespace SimpleChat.Tests;

/// <summary>Closed pages of history that are kept: they say what the database says.</summary>
public sealed class HistoryCacheTests : IAsyncLifetime
{
    private ChatServer _server = null!;

    public async Task InitializeAsync() =>
        _server = await new ChatServer { Apart = false, ["ScaleOut:HistoryCache"] = "true" }.StartAsync();

    public Task DisposeAsync() => _server.DisposeAsync().AsTask();

    [Fact]
    public async Task A_closed_page_is_kept_and_what_is_erased_is_gone_from_it_on_all_nodes()
    {
        var alice = await SendAsync(5, isDelivered: true);
        Assert.Equal([1, 2, 3, 4, 5], await IdsAsync(alice, before: 6));
        await _server.ExecuteAsync("UPDATE MessageDB SET Text = 'changed' WHERE Id = 1"); // what never happens: it shows who answers
        for (var node = 0; node < 2; node++)
            Assert.Equal("0", (await alice.GetAsync("/messages?before=6")).Messages[0].Body);

        await _server.ExecuteAsync("DELETE FROM MessageDB WHERE Id = 3");
        for (var node = 0; node < 2; node++)
            Assert.Equal([1, 2, 4, 5], await IdsAsync(alice, before: 6));
        await _server.ExecuteAsync("UPDATE MessageDB SET SentAt = SentAt - 1 WHERE Id = 1"); // of another database
        for (var node = 0; node < 2; node++)
            Assert.Equal("changed", (await alice.GetAsync("/messages?before=6")).Messages[0].Body);
    }

    [Fact]
    public async Task A_page_that_may_still_change_is_not_kept()
    {
        var alice = await SendAsync(2, isDelivered: false);
        Assert.Equal([1, 2], await IdsAsync(alice, before: 3)); // undelivered
        Assert.Equal([1, 2], await IdsAsync(alice, before: 1000)); // not below what was given out
        await SendAsync(1, isDelivered: true);
        for (var node = 0; node < 2; node++)
        {
            var page = (await alice.GetAsync("/messages?before=3")).Messages;
            Assert.All(page, message => Assert.True(message.Json.GetProperty("delivered").GetBoolean()));
            Assert.Equal([1, 2, 3], await IdsAsync(alice, before: 1000));
        }
    }

    [Fact]
    public async Task Days_and_limit_hold_for_a_page_that_is_kept()
    {
        var alice = await SendAsync(5, isDelivered: true);
        Assert.Equal([1, 2, 3, 4, 5], await IdsAsync(alice, before: 6));
        Assert.Equal([4, 5], (await alice.GetAsync("/messages?before=6&limit=2")).Messages.Select(message => message.Id));
        await _server.ExecuteAsync("UPDATE MessageDB SET SentAt = SentAt - 20 * 86400000 WHERE Id <= 2");
        Assert.Equal([3, 4, 5], await IdsAsync(alice, before: 6));
        Assert.Equal([3, 4, 5], await IdsAsync(alice, before: 6));
        Assert.Equal(5, (await alice.GetAsync("/messages?before=6&days=30")).Messages.Count);
    }

    private static async Task<IEnumerable<long>> IdsAsync(HttpUser user, long before) =>
        (await user.GetAsync($"/messages?before={before}")).Messages.Select(message => message.Id);

    /// <summary>alice writes to bob.</summary>
    private async Task<HttpUser> SendAsync(int count, bool isDelivered)
    {
        var (alice, bob) = (new HttpUser(_server.Http, "alice"), new HttpUser(_server.Http, "bob"));
        for (var i = 0; i < count; i++)
            Assert.Equal(201, (await alice.SendAsync("bob", $"{i}")).Status);
        if (isDelivered)
            Assert.Equal(204, (await bob.AckAsync([.. (await bob.InboxAsync()).Select(message => message.Id)])).Status);
        for (var node = 0; node < 2; node++) // whoever joins a node finds that it knows what is committed
            await (await ChatClient.ConnectAsync(_server.Url, "carol")).DisposeAsync();
        return alice;
    }
}
