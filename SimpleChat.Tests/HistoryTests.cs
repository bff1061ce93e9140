using System.Text;
using Microsoft.Extensions.Time.Testing;

namespace SimpleChat.Tests;

/// <summary>Chapter "The inbox over HTTP": <c>GET /messages</c>.</summary>
public sealed class HistoryTests
{
    [Fact]
    public async Task A_conversation_is_both_sides_of_it_oldest_first_and_nobody_elses()
    {
        await using var server = await new ChatServer { InMemory = true }.StartAsync();
        var (alice, bob, carol) =
            (new HttpUser(server.Http, "alice"), new HttpUser(server.Http, "bob"), new HttpUser(server.Http, "carol"));
        await alice.SendAsync("bob", "a to b");
        await carol.SendAsync("alice", "c to a");
        await bob.SendAsync("alice", "b to a");
        await bob.SendAsync("carol", "b to c");
        await alice.SendAsync("bob", "a to b again");

        var answer = await alice.GetAsync("/messages?with=bob");
        Assert.Equal(200, answer.Status);
        Assert.Equal("hasMore messages", answer.Json.Properties);
        Assert.False(answer.HasMore);
        Assert.Equal(["a to b", "b to a", "a to b again"], Texts(answer));
        Assert.All(answer.Messages, message => Assert.Equal("delivered from id sentAt text to", message.Properties));
        Assert.Equal(answer.Messages.Select(message => message.Id).Order(), answer.Messages.Select(message => message.Id));
        Assert.Equal(("bob", "alice"), (answer.Messages[1].From, answer.Messages[1].To));

        Assert.Equal(["a to b", "c to a", "b to a", "a to b again"], Texts(await alice.GetAsync("/messages")));
        Assert.Equal(["c to a", "b to c"], Texts(await carol.GetAsync("/messages")));
        Assert.Equal(["b to c"], Texts(await carol.GetAsync("/messages?with=bob")));
        Assert.Empty((await alice.GetAsync("/messages?with=dave")).Messages);
        Assert.Empty((await new HttpUser(server.Http, "dave").GetAsync("/messages")).Messages);
        Assert.Empty((await new HttpUser(server.Http, "dave").GetAsync("/messages?with=bob")).Messages);
    }

    [Theory]
    [InlineData("")]
    [InlineData("&with=bob")]
    public async Task It_is_paged_backwards_by_before_and_forwards_by_after(string with)
    {
        await using var server = await new ChatServer { InMemory = true }.StartAsync();
        var alice = new HttpUser(server.Http, "alice");
        var bob = new HttpUser(server.Http, "bob");
        var ids = new List<long>();
        for (var i = 0; i < 10; i++)
        {
            ids.Add((await (i % 3 == 0 ? bob.SendAsync("alice", $"{i}") : alice.SendAsync("bob", $"{i}"))).Json.Id);
            await bob.SendAsync("carol", "between");
        }

        var newest = await alice.GetAsync($"/messages?limit=4{with}");
        Assert.Equal(["6", "7", "8", "9"], Texts(newest));
        Assert.True(newest.HasMore);
        var middle = await alice.GetAsync($"/messages?limit=4&before={ids[6]}{with}");
        Assert.Equal(["2", "3", "4", "5"], Texts(middle));
        Assert.True(middle.HasMore);
        var oldest = await alice.GetAsync($"/messages?limit=4&before={ids[2]}{with}");
        Assert.Equal(["0", "1"], Texts(oldest));
        Assert.False(oldest.HasMore);

        var after = await alice.GetAsync($"/messages?limit=4&after={ids[1]}{with}");
        Assert.Equal(["2", "3", "4", "5"], Texts(after));
        Assert.True(after.HasMore);
        var rest = await alice.GetAsync($"/messages?limit=4&after={ids[5]}{with}");
        Assert.Equal(["6", "7", "8", "9"], Texts(rest));
        Assert.False(rest.HasMore);
        var none = await alice.GetAsync($"/messages?limit=4&after={ids[9]}{with}");
        Assert.Empty(none.Messages);
        Assert.False(none.HasMore);

        var exactly = await alice.GetAsync($"/messages?limit=10{with}");
        Assert.Equal(10, exactly.Messages.Count);
        Assert.False(exactly.HasMore);
    }

    [Fact]
    public async Task Each_message_says_whether_it_was_delivered()
    {
        await using var server = await new ChatServer { InMemory = true }.StartAsync();
        var (alice, bob) = (new HttpUser(server.Http, "alice"), new HttpUser(server.Http, "bob"));
        var first = await alice.SendAsync("bob", "one");
        await alice.SendAsync("bob", "two");
        await bob.AckAsync(first.Json.Id);
        foreach (var user in new[] { alice, bob })
        {
            foreach (var path in new[] { "/messages", "/messages?with=" + (user == alice ? "bob" : "alice") })
            {
                var messages = (await user.GetAsync(path)).Messages;
                Assert.Equal([true, false], messages.Select(message => message.Json.GetProperty("delivered").GetBoolean()));
            }
        }
    }

    [Fact]
    public async Task Days_leaves_out_what_is_older()
    {
        var clock = new FakeTimeProvider(new DateTimeOffset(2026, 11, 1, 12, 0, 0, TimeSpan.Zero));
        await using var server = await new ChatServer { InMemory = true, Time = clock }.StartAsync();
        var alice = new HttpUser(server.Http, "alice");
        await alice.SendAsync("bob", "old");
        clock.Advance(TimeSpan.FromDays(8));
        await alice.SendAsync("bob", "newer");
        clock.Advance(TimeSpan.FromDays(3));
        await alice.SendAsync("bob", "new");

        Assert.Equal(["new"], Texts(await alice.GetAsync("/messages?days=1")));
        Assert.Equal(["newer", "new"], Texts(await alice.GetAsync("/messages?days=10")));
        Assert.Equal(["old", "newer", "new"], Texts(await alice.GetAsync("/messages?with=bob&days=12")));
        var page = await alice.GetAsync("/messages?with=bob&days=10&limit=1");
        Assert.Equal(["new"], Texts(page));
        Assert.True(page.HasMore);
        page = await alice.GetAsync($"/messages?with=bob&days=10&limit=1&before={page.Messages[0].Id}");
        Assert.Equal(["newer"], Texts(page));
        Assert.False(page.HasMore); // the old one is no more of what was asked for
    }

    [Fact]
    public async Task A_page_has_from_1_to_200_messages()
    {
        await using var server =
            await new ChatServer { InMemory = true, ["Chat:MessagesPerSecond"] = "0", ["Chat:RequestsPerUser"] = "1000" }.StartAsync();
        var alice = new HttpUser(server.Http, "alice");
        await Task.WhenAll(Enumerable.Range(0, 205).Select(i => alice.SendAsync("bob", $"{i}")));
        var largest = await alice.GetAsync("/messages?limit=200");
        Assert.Equal((200, true), (largest.Messages.Count, largest.HasMore));
        Assert.Single((await alice.GetAsync("/messages?limit=1")).Messages);
    }

    [Theory]
    [InlineData("limit=0")]
    [InlineData("limit=201")]
    [InlineData("limit=-1")]
    [InlineData("limit=many")]
    [InlineData("before=yesterday")]
    [InlineData("after=yesterday")]
    [InlineData("days=some")]
    [InlineData("days=-1")]
    [InlineData("with=b%20ob")]
    [InlineData("before=99999999999999999999")]
    [InlineData("days=99999999999999999999")]
    public async Task A_parameter_that_makes_no_sense_is_answered_400(string query)
    {
        await using var server = await new ChatServer { InMemory = true }.StartAsync();
        (await new HttpUser(server.Http, "alice").GetAsync($"/messages?{query}")).AssertProblem(400);
        Assert.Empty(server.Log.Faults);
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(1, 300)]
    [InlineData(20, 20)]
    [InlineData(100, 699)]
    [InlineData(401, 700)]
    [InlineData(2, 699)]
    [InlineData(1, 700)]
    public async Task I11_Rows_that_are_gone_end_no_page_no_resume_and_no_replay(int first, int last)
    {
        await using var server = await new ChatServer { ["Chat:MessagesPerSecond"] = "0", ["Chat:ConnectionsPerUser"] = "99" }.StartAsync();
        var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        for (var i = 1; i <= 700; i++)
            await alice.SendAsync("bob", $"{i}");
        for (var i = 1; i <= 700; i++)
            await alice.ExpectAsync("sent");
        await server.RestartAsync(); // the indexes are complete then
        await new HttpUser(server.Http, "alice").SendAsync("bob", "701"); // and this is above them
        await server.ExecuteAsync($"DELETE FROM MessageDB WHERE Id BETWEEN {first} AND {last}");
        var kept = Enumerable.Range(1, 701).Where(i => i < first || i > last).Select(i => (long)i).ToList();

        var bob = new HttpUser(server.Http, "bob");
        foreach (var query in new[] { "limit=200", "limit=200&with=alice", "limit=7&with=alice", "limit=1&days=1" })
        {
            Assert.Equal(kept, await ReadBackwardsAsync(bob, query));
            Assert.Equal(kept, await ReadForwardsAsync(bob, query));
        }

        foreach (var after in new long?[] { null, 0, 99, 400 }) // the replay of what is undelivered, and resuming
        {
            await using var client = await ChatClient.ConnectAsync(server.Url, "bob", "chat.ack", after);
            var expected = kept.Where(id => id > (after ?? 0)).ToList();
            Assert.Equal(expected, (await client.MessagesAsync(expected.Count)).Select(message => message.Id));
            await client.AssertAliveAsync();
        }

        var inbox = new List<long>();
        while ((await bob.InboxAsync()) is { Count: > 0 } page)
        {
            inbox.AddRange(page.Select(message => message.Id));
            await bob.AckAsync([.. page.Select(message => message.Id)]);
        }

        Assert.Equal(kept, inbox);
    }

    [Theory]
    [InlineData(40, 60_000, 'x')]
    [InlineData(40, 60_000, '\u007F')] // goes out as six bytes
    [InlineData(40, 20_000, '漢')]
    [InlineData(5, 300_000, '\u007F')] // each of them is over the limit by itself
    [InlineData(2, 524_160, 'x')]
    [InlineData(2, 524_208, 'x')]
    public async Task I8_A_page_is_at_most_1_MiB_of_body_or_one_message(int count, int length, char character)
    {
        await using var server =
            await new ChatServer { ["Chat:MessagesPerSecond"] = "0", ["Chat:MaxMessageBytes"] = $"{1 << 21}" }.StartAsync();
        var alice = new HttpUser(server.Http, "alice");
        var text = new string(character, length);
        for (var i = 0; i < count; i++)
            Assert.Equal(201, (await alice.SendAsync(i % 2 == 0 ? "bob" : $"bob{i}", text)).Status);

        var ids = Enumerable.Range(1, count).Select(i => (long)i).ToList();
        Assert.Equal(ids, await ReadBackwardsAsync(alice, "limit=200"));
        Assert.Equal(ids, await ReadForwardsAsync(alice, "limit=200"));
        var last = long.MaxValue;
        for (var more = true; more;)
        {
            var page = await alice.GetAsync($"/conversations?limit=200&before={last}");
            AssertBounded(page, page.Conversations);
            Assert.True(page.Conversations[0].Id < last);
            (last, more) = (page.Conversations[^1].Id, page.HasMore);
        }

        var inbox = await new HttpUser(server.Http, "bob").GetAsync("/inbox");
        AssertBounded(inbox, inbox.Messages);
        Assert.Equal(text, inbox.Messages[0].Body);
    }

    [Fact]
    public async Task A_body_that_just_fits_into_1_MiB_is_one_page()
    {
        await using var server =
            await new ChatServer { ["Chat:MessagesPerSecond"] = "0", ["Chat:MaxMessageBytes"] = $"{1 << 21}" }.StartAsync();
        var alice = new HttpUser(server.Http, "alice");
        await alice.SendAsync("bob", new string('x', 500_000));
        await alice.SendAsync("bob", new string('x', 500_000));
        var page = await alice.GetAsync("/messages");
        Assert.Equal((2, false), (page.Messages.Count, page.HasMore));
    }

    [Fact]
    public async Task Conversations_are_those_whom_the_user_has_talked_with_the_most_recent_first_each_with_its_last_message()
    {
        await using var server = await new ChatServer { InMemory = true }.StartAsync();
        var (alice, bob) = (new HttpUser(server.Http, "alice"), new HttpUser(server.Http, "bob"));
        Assert.Equal("""{"conversations":[],"hasMore":false}""", (await alice.GetAsync("/conversations")).Body);
        await alice.SendAsync("bob", "1");
        await new HttpUser(server.Http, "Zoe").SendAsync("alice", "2");
        await alice.SendAsync("alice", "3");
        await bob.SendAsync("alice", "4");
        await alice.SendAsync("carol", "5");
        await bob.SendAsync("carol", "none of alice's");
        await bob.AckAsync(1);
        await alice.AckAsync(4);

        var answer = await alice.GetAsync("/conversations");
        Assert.Equal("conversations hasMore", answer.Json.Properties);
        Assert.Equal(["carol", "bob", "alice", "Zoe"],
            answer.Json.Json.GetProperty("conversations").EnumerateArray().Select(one => one.GetProperty("with").GetString()));
        Assert.Equal(["5", "4", "3", "2"], answer.Conversations.Select(last => last.Body));
        Assert.All(answer.Conversations, last => Assert.Equal("delivered from id sentAt text to", last.Properties));
        Assert.Equal([false, true, false, false], answer.Conversations.Select(last => last.Json.GetProperty("delivered").GetBoolean()));
        Assert.Equal((await alice.GetAsync("/messages?with=bob&limit=1")).Messages[0].ToString(), answer.Conversations[1].ToString());

        var page = await alice.GetAsync("/conversations?limit=2");
        Assert.Equal(["5", "4"], page.Conversations.Select(last => last.Body));
        Assert.True(page.HasMore);
        page = await alice.GetAsync("/conversations?limit=2&before=4");
        Assert.Equal(["3", "2"], page.Conversations.Select(last => last.Body));
        Assert.False(page.HasMore);
        Assert.Empty((await alice.GetAsync("/conversations?before=2")).Conversations);

        await server.ExecuteAsync("DELETE FROM MessageDB WHERE Id IN (2, 4)");
        // Bob's falls back to the one before.
        Assert.Equal(["5", "3", "1"], (await alice.GetAsync("/conversations")).Conversations.Select(last => last.Body));
    }

    [Theory]
    [InlineData("limit=0")]
    [InlineData("limit=201")]
    [InlineData("limit=many")]
    [InlineData("before=-1")]
    [InlineData("before=yesterday")]
    public async Task A_parameter_of_conversations_that_makes_no_sense_is_answered_400(string query)
    {
        await using var server = await new ChatServer { InMemory = true }.StartAsync();
        (await new HttpUser(server.Http, "alice").GetAsync($"/conversations?{query}")).AssertProblem(400);
    }

    private static void AssertBounded(HttpAnswer answer, List<Frame> rows) =>
        Assert.True(rows.Count == 1 || Encoding.UTF8.GetByteCount(answer.Body) <= PageBody.MaxBytes,
            $"{rows.Count} rows are {answer.Body.Length} characters.");

    private static async Task<List<long>> ReadBackwardsAsync(HttpUser user, string query)
    {
        var ids = new List<long>();
        for (var more = true; more;)
        {
            var page = await user.GetAsync($"/messages?{query}{(ids.Count == 0 ? "" : $"&before={ids[0]}")}");
            AssertBounded(page, page.Messages);
            more = page.HasMore;
            Assert.False(more && page.Messages.Count == 0);
            ids.InsertRange(0, page.Messages.Select(message => message.Id));
        }

        return ids;
    }

    private static async Task<List<long>> ReadForwardsAsync(HttpUser user, string query)
    {
        var ids = new List<long>();
        for (var more = true; more;)
        {
            var page = await user.GetAsync($"/messages?{query}&after={(ids.Count == 0 ? 0 : ids[^1])}");
            AssertBounded(page, page.Messages);
            more = page.HasMore;
            Assert.False(more && page.Messages.Count == 0);
            ids.AddRange(page.Messages.Select(message => message.Id));
        }

        return ids;
    }

    private static IEnumerable<string> Texts(HttpAnswer answer) => answer.Messages.Select(message => message.Body);
}
