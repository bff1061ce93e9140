using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Time.Testing;

namespace SimpleChat.Tests;

/// <summary>Chapter "WebSocket": frames from the client and their answers.</summary>
public sealed partial class SendTests
{
    [Fact]
    public async Task A_send_is_confirmed_to_the_sender_and_pushed_to_the_recipient()
    {
        await using var server = await ChatServer.StartNewAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice", "chat");
        await using var bob = await ChatClient.ConnectAsync(server.Url, "bob", "chat.ack");

        await alice.SendAsync("bob", "hi", "7f3a");
        var sent = await alice.ExpectAsync("sent");
        Assert.Equal("clientMessageId id sentAt to type", sent.Properties);
        Assert.Equal(("7f3a", "bob"), (sent.ClientMessageId, sent.To));
        Assert.InRange(sent.Id, 1, (1L << 53) - 1);
        Assert.Matches(UtcWithMilliseconds(), sent.SentAtAsWritten);

        var message = await bob.ExpectAsync("message");
        Assert.Equal("from id sentAt text to type", message.Properties);
        Assert.Equal(("alice", "bob", "hi"), (message.From, message.To, message.Body));
        Assert.Equal((sent.Id, sent.SentAtAsWritten), (message.Id, message.SentAtAsWritten));

        await bob.AckAsync(message.Id);
        var delivered = await alice.ExpectAsync("delivered");
        Assert.Equal("id to type", delivered.Properties);
        Assert.Equal((sent.Id, "bob"), (delivered.Id, delivered.To));
    }

    [Fact]
    public async Task A_sent_without_clientMessageId_has_none()
    {
        await using var server = await ChatServer.StartNewAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        Assert.Equal("id sentAt to type", (await alice.SendAndConfirmAsync("bob", "hi")).Properties);
    }

    [Theory]
    [InlineData("""{"to":"bob","text":"hi"}""")]
    [InlineData("""{"text":"hi","to":"bob","type":"send"}""")]
    [InlineData("""{"type":"send","to":"bob","text":"hi","mood":{"a":[1,{"b":null}],"text":"no"},"from":"eve","id":7,"ids":"x"}""")]
    [InlineData(" \r\n\t{ \"to\" : \"bob\" ,\n\"text\" : \"hi\" } \n")]
    [InlineData("""{"\u0074o":"b\u006fb","te\u0078t":"\u0068i"}""")]
    public async Task A_send_may_be_written_in_many_ways(string json)
    {
        await using var server = await ChatServer.StartNewAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        await using var bob = await ChatClient.ConnectAsync(server.Url, "bob");
        await alice.RawTextAsync(json);
        await alice.ExpectAsync("sent");
        var message = await bob.ExpectAsync("message");
        Assert.Equal(("alice", "bob", "hi"), (message.From, message.To, message.Body));
    }

    [Fact]
    public async Task An_ack_may_have_its_properties_in_any_order()
    {
        await using var server = await ChatServer.StartNewAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        await using var bob = await ChatClient.ConnectAsync(server.Url, "bob", "chat.ack");
        var sent = await alice.SendAndConfirmAsync("bob", "hi");
        await bob.ExpectAsync("message");
        await bob.RawTextAsync($$"""{"to":5,"ids":[{{sent.Id}}],"text":null,"type":"ack"}""");
        Assert.Equal(sent.Id, (await alice.ExpectAsync("delivered")).Id);
    }

    [Fact]
    public async Task A_ping_is_answered_with_a_pong()
    {
        await using var server = await ChatServer.StartNewAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        await alice.PingAsync();
        Assert.Equal("""{"type":"pong"}""", (await alice.ReceiveAsync()).ToString());
    }

    [Theory]
    [InlineData("invalid_json", "")]
    [InlineData("invalid_json", "hi bob")]
    [InlineData("invalid_json", "[]")]
    [InlineData("invalid_json", "\"text\"")]
    [InlineData("invalid_json", "null")]
    [InlineData("invalid_json", """{"to":"bob","text":"hi" """)]
    [InlineData("invalid_json", """{"to":"bob","text":"hi"}{"to":"bob","text":"hi"}""")]
    [InlineData("invalid_json", """{"to":"bob","text":"hi",}""")]
    [InlineData("invalid_json", """{'to':'bob','text':'hi'}""")]
    [InlineData("invalid_json", "{\"to\":\"bob\",\"text\":\"a\nb\"}")]
    [InlineData("invalid_json", """{"to":"bob","text":"\x41"}""")]
    [InlineData("unknown_type", """{"type":"shout","to":"bob","text":"hi","clientMessageId":"c1"}""")]
    [InlineData("unknown_type", """{"type":"SEND","to":"bob","text":"hi","clientMessageId":"c1"}""")]
    [InlineData("unknown_type", """{"type":"sent","to":"bob","text":"hi","clientMessageId":"c1"}""")]
    [InlineData("unknown_type", """{"type":7,"to":"bob","text":"hi","clientMessageId":"c1"}""")]
    [InlineData("invalid_recipient", """{"text":"hi","clientMessageId":"c1"}""")]
    [InlineData("invalid_recipient", """{"to":"","text":"hi","clientMessageId":"c1"}""")]
    [InlineData("invalid_recipient", """{"to":null,"text":"hi","clientMessageId":"c1"}""")]
    [InlineData("invalid_recipient", """{"to":["bob"],"text":"hi","clientMessageId":"c1"}""")]
    [InlineData("invalid_recipient", """{"to":"b ob","text":"hi","clientMessageId":"c1"}""")]
    [InlineData("invalid_recipient", """{"to":"bob\n","text":"hi","clientMessageId":"c1"}""")]
    [InlineData("invalid_recipient", """{"to":"bøb","text":"hi","clientMessageId":"c1"}""")]
    [InlineData("invalid_text", """{"to":"bob","clientMessageId":"c1"}""")]
    [InlineData("invalid_text", """{"to":"bob","text":"","clientMessageId":"c1"}""")]
    [InlineData("invalid_text", """{"to":"bob","text":null,"clientMessageId":"c1"}""")]
    [InlineData("invalid_text", """{"to":"bob","text":5,"clientMessageId":"c1"}""")]
    [InlineData("invalid_text", """{"to":"bob","text":{"text":"hi"},"clientMessageId":"c1"}""")]
    [InlineData("invalid_text", """{"to":"bob","text":"a\ud83d","clientMessageId":"c1"}""")]
    [InlineData("invalid_text", """{"to":"bob","text":"\ude00b","clientMessageId":"c1"}""")]
    [InlineData("invalid_text", """{"to":"bob","text":"\ude00\ud83d","clientMessageId":"c1"}""")]
    [InlineData("invalid_client_message_id", """{"to":"bob","text":"hi","clientMessageId":""}""")]
    [InlineData("invalid_client_message_id", """{"to":"bob","text":"hi","clientMessageId":7}""")]
    [InlineData("invalid_client_message_id", """{"to":"bob","text":"hi","clientMessageId":{"a":1}}""")]
    [InlineData("invalid_client_message_id", """{"to":"bob","text":"hi","clientMessageId":"\ud83d"}""")]
    [InlineData("invalid_ack", """{"type":"ack"}""")]
    [InlineData("invalid_ack", """{"type":"ack","ids":null}""")]
    [InlineData("invalid_ack", """{"type":"ack","ids":41}""")]
    [InlineData("invalid_ack", """{"type":"ack","ids":["41"]}""")]
    [InlineData("invalid_ack", """{"type":"ack","ids":[41,[42]]}""")]
    [InlineData("invalid_ack", """{"type":"ack","ids":[1.5]}""")]
    public async Task I8_A_frame_that_is_wrong_is_answered_with_an_error_and_the_connection_stays(string code, string json)
    {
        await using var server = await ChatServer.StartNewAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        await using var bob = await ChatClient.ConnectAsync(server.Url, "bob");

        await alice.RawTextAsync(json);
        var error = await alice.ExpectAsync("error");
        Assert.Equal(code, error.Code);
        Assert.NotEmpty(error.Text("message"));
        Assert.Equal(json.Contains("c1", StringComparison.Ordinal) ? "c1" : null, error.ClientMessageId);

        await alice.SendAndConfirmAsync("bob", "next");
        Assert.Empty(await bob.BeforeAsync("next"));
        Assert.Empty(server.Log.Faults);
    }

    [Fact]
    public async Task A_recipient_has_at_most_128_characters_and_a_clientMessageId_at_most_64()
    {
        await using var server = await ChatServer.StartNewAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        var (user128, id64) = (new string('u', 128), new string('i', 64));
        Assert.Equal((user128, id64), await Confirmed(alice.SendAndConfirmAsync(user128, "hi", id64)));

        await alice.SendAsync(user128 + "u", "hi", id64);
        Assert.Equal("invalid_recipient", (await alice.ExpectAsync("error")).Code);
        await alice.SendAsync("bob", "hi", id64 + "i");
        Assert.Equal("invalid_client_message_id", (await alice.ExpectAsync("error")).Code);

        static async Task<(string, string?)> Confirmed(Task<Frame> sent) => ((await sent).To, (await sent).ClientMessageId);
    }

    [Fact]
    public async Task Deeply_nested_JSON_hurts_nobody()
    {
        await using var server = await ChatServer.StartNewAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        await alice.RawTextAsync("{\"x\":" + new string('[', 50) + new string(']', 50) + ",\"to\":\"bob\",\"text\":\"as anybody may\"}");
        await alice.ExpectAsync("sent");
        await alice.RawTextAsync("{\"x\":" + new string('[', 30_000) + new string(']', 30_000) + ",\"to\":\"bob\",\"text\":\"hi\"}");
        await alice.ExpectAsync("sent");
        await alice.RawTextAsync(new string('[', 60_000));
        Assert.Equal("invalid_json", (await alice.ExpectAsync("error")).Code);
        await alice.AssertAliveAsync();
        Assert.Empty(server.Log.Faults);
    }

    [Fact]
    public async Task Text_arrives_code_point_for_code_point()
    {
        string[] texts =
        [
            "ordinary", " leading and trailing ", "line\nfeed\r\nand\ttab", "NUL \0 inside", "\0", "quote \" backslash \\ slash /",
            "<script>&amp;</script>", "null", "{}",
            "😀 👩‍👩‍👧‍👦 🇩🇪", "é is not e\u0301", "\u2028\u2029", "\ufeffBOM first", "\uffff\ufffe\ufffd", "\U0010ffff",
            "العربية עברית", "\u0001\u001f\u007f\u0085",
        ];
        await using var server = await ChatServer.StartNewAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        await using var bob = await ChatClient.ConnectAsync(server.Url, "bob", "chat.ack");
        foreach (var text in texts)
        {
            await alice.SendAndConfirmAsync("bob", text);
            Assert.Equal(text, (await bob.ExpectAsync("message")).Body);
        }

        Assert.Equal(texts, (await new HttpUser(server.Http, "bob").InboxAsync()).Select(message => message.Body));
        await server.RestartAsync();
        await using var again = await ChatClient.ConnectAsync(server.Url, "bob");
        Assert.Equal(texts, (await again.MessagesAsync(texts.Length)).Select(message => message.Body));
    }

    [Fact]
    public async Task Escaped_surrogate_pairs_are_one_code_point()
    {
        await using var server = await ChatServer.StartNewAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        await using var bob = await ChatClient.ConnectAsync(server.Url, "bob");
        await alice.RawTextAsync("""{"to":"bob","text":"a\ud83d\ude00b\u0000c","clientMessageId":"\ud83d\ude00"}""");
        Assert.Equal("😀", (await alice.ExpectAsync("sent")).ClientMessageId);
        Assert.Equal("a😀b\0c", (await bob.ExpectAsync("message")).Body);
    }

    [Fact]
    public async Task A_message_may_come_in_fragments_with_pings_between()
    {
        await using var server = await ChatServer.StartNewAsync();
        using var alice = await RawWebSocket.ConnectAsync(server.Url, "alice");
        await using var bob = await ChatClient.ConnectAsync(server.Url, "bob");
        var json = Encoding.UTF8.GetBytes("""{"to":"bob","text":"😀"}""");

        await alice.FrameAsync(Opcode.Text, [], fin: false);
        for (var i = 0; i < json.Length; i++) // each byte a frame: the emoji too is cut in four
        {
            await alice.FrameAsync(Opcode.Continuation, [json[i]], fin: false);
            if (i % 7 == 0)
                await alice.FrameAsync(Opcode.Ping, [(byte)i]);
        }

        await alice.FrameAsync(Opcode.Continuation, []);
        for (var i = 0; i < json.Length; i += 7)
        {
            var pong = await alice.ReadAsync();
            Assert.NotNull(pong);
            Assert.Equal(Opcode.Pong, pong.Opcode);
            Assert.Equal([(byte)i], pong.Payload);
        }

        Assert.Equal("sent", (await alice.ReadJsonAsync()).Type);
        Assert.Equal("😀", (await bob.ExpectAsync("message")).Body);
    }

    [Fact]
    public async Task Many_messages_in_one_packet_are_each_answered()
    {
        await using var server = await ChatServer.StartNewAsync();
        using var alice = await RawWebSocket.ConnectAsync(server.Url, "alice");
        var frames = Enumerable.Range(0, 50).Select(i =>
            RawWebSocket.Build(Opcode.Text, Encoding.UTF8.GetBytes($$"""{"to":"bob","text":"{{i}}"}""")));
        await alice.BytesAsync([.. frames.SelectMany(frame => frame)]);
        for (var i = 0; i < 50; i++)
            Assert.Equal("sent", (await alice.ReadJsonAsync()).Type);
        var inbox = await new HttpUser(server.Http, "bob").InboxAsync();
        Assert.Equal(Enumerable.Range(0, 50).Select(i => i.ToString(CultureInfo.InvariantCulture)), inbox.Select(message => message.Body));
    }

    [Fact]
    public async Task A_message_to_oneself_arrives()
    {
        await using var server = await ChatServer.StartNewAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        var sent = await alice.SendAndConfirmAsync("alice", "note");
        var message = await alice.FindAsync("message");
        Assert.Equal((sent.Id, "alice", "alice", "note"), (message.Id, message.From, message.To, message.Body));
        Assert.Equal(sent.Id, (await alice.FindAsync("delivered")).Id);
    }

    [Fact]
    public async Task Ids_rise_and_sentAt_never_falls_even_when_the_clock_does()
    {
        var start = new DateTimeOffset(2026, 11, 24, 11, 2, 3, 123, TimeSpan.Zero);
        await using var server = await new ChatServer { Time = new FakeTimeProvider(start) }.StartAsync();
        var first = await new HttpUser(server.Http, "alice").SendAsync("bob", "one");
        Assert.Equal("2026-11-24T11:02:03.123Z", first.Json.SentAtAsWritten);

        await server.StopAsync();
        server.Time = new FakeTimeProvider(start.AddDays(-1));
        await server.StartAsync();
        var second = await new HttpUser(server.Http, "carol").SendAsync("dave", "two");
        Assert.True(second.Json.Id > first.Json.Id);
        Assert.True(second.Json.SentAt >= first.Json.SentAt, $"{second.Json.SentAt} is before {first.Json.SentAt}");
    }

    [Fact]
    public async Task I1_When_sent_arrives_the_message_and_its_inbox_row_are_committed()
    {
        await using var server = await ChatServer.StartNewAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        for (var i = 0; i < 50; i++)
        {
            var id = (await alice.SendAndConfirmAsync("bob", "hi")).Id;
            Assert.Equal(1, await server.CountAsync(
                $"SELECT count(*) FROM MessageDB m JOIN InboxDB i ON i.MessageId = m.Id AND i.Recipient = m.Recipient WHERE m.Id = {id}"));
        }
    }

    [Fact]
    public async Task I6_A_repeat_is_answered_with_the_first_ones_sent_and_pushed_to_nobody()
    {
        await using var server = await ChatServer.StartNewAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        await using var elsewhere = await ChatClient.ConnectAsync(server.Url, "alice");
        await using var bob = await ChatClient.ConnectAsync(server.Url, "bob", "chat.ack");
        var first = await alice.SendAndConfirmAsync("bob", "hi", "c1");
        Assert.Equal(first.ToString(), (await alice.SendAndConfirmAsync("bob", "hi", "c1")).ToString());
        Assert.Equal(first.ToString(), (await elsewhere.SendAndConfirmAsync("bob", "hi", "c1")).ToString());

        await bob.AckAsync((await bob.ExpectAsync("message")).Id);
        await alice.FindAsync("delivered");
        Assert.Equal(first.ToString(), (await alice.SendAndConfirmAsync("bob", "hi", "c1")).ToString());

        await alice.SendAndConfirmAsync("bob", "barrier");
        Assert.Empty(await bob.BeforeAsync("barrier"));
        Assert.Single(await elsewhere.BeforeAsync("barrier"), frame => frame.Type == "message");
        Assert.Equal("barrier", Assert.Single(await new HttpUser(server.Http, "bob").InboxAsync()).Body);
    }

    [Fact]
    public async Task I6_A_repeat_is_one_over_HTTP_and_after_a_restart_too()
    {
        await using var server = await ChatServer.StartNewAsync();
        await using (var alice = await ChatClient.ConnectAsync(server.Url, "alice"))
        {
            var ws = await alice.SendAndConfirmAsync("bob", "hi", "ws");
            var repeat = await new HttpUser(server.Http, "alice").SendAsync("bob", "hi", "ws");
            Assert.Equal(200, repeat.Status);
            Assert.Equal((ws.Id, ws.SentAtAsWritten, "alice", "bob", "hi"),
                (repeat.Json.Id, repeat.Json.SentAtAsWritten, repeat.Json.From, repeat.Json.To, repeat.Json.Body));
        }

        var http = await new HttpUser(server.Http, "alice").SendAsync("bob", "hi", "http");
        Assert.Equal(201, http.Status);
        await server.RestartAsync();
        await using (var alice = await ChatClient.ConnectAsync(server.Url, "alice"))
        {
            var repeat = await alice.SendAndConfirmAsync("bob", "hi", "http");
            Assert.Equal((http.Json.Id, http.Json.SentAtAsWritten, "http"), (repeat.Id, repeat.SentAtAsWritten, repeat.ClientMessageId));
        }

        Assert.Equal(2, (await new HttpUser(server.Http, "bob").InboxAsync()).Count);
    }

    [Fact]
    public async Task I6_A_repeat_while_the_first_is_being_committed_is_one()
    {
        const int Rounds = 40;
        await using var server = await new ChatServer { ["Chat:MessagesPerSecond"] = "0" }.StartAsync();
        await using var one = await ChatClient.ConnectAsync(server.Url, "alice");
        await using var two = await ChatClient.ConnectAsync(server.Url, "alice");
        await using var bob = await ChatClient.ConnectAsync(server.Url, "bob", "chat.ack");
        var http = new HttpUser(server.Http, "alice");
        for (var i = 0; i < Rounds; i++)
        {
            var (text, id) = ($"text {i}", $"c{i}");
            var answers = await Task.WhenAll(
                one.SendAndConfirmAsync("bob", text, id), two.SendAndConfirmAsync("bob", text, id), OverHttpAsync(text, id));
            Assert.Single(answers.Select(answer => (answer.Id, answer.SentAtAsWritten)).Distinct());
        }

        await one.SendAndConfirmAsync("bob", "barrier");
        Assert.Equal(Enumerable.Range(0, Rounds).Select(i => $"text {i}"),
            (await bob.BeforeAsync("barrier")).Select(message => message.Body));

        async Task<Frame> OverHttpAsync(string text, string id)
        {
            var answer = await http.SendAsync("bob", text, id);
            Assert.True(answer.Status is 200 or 201, $"Got {answer.Status}");
            return answer.Json;
        }
    }

    [Fact]
    public async Task I6_A_repeat_in_the_same_packet_is_one()
    {
        await using var server = await ChatServer.StartNewAsync();
        using var alice = await RawWebSocket.ConnectAsync(server.Url, "alice");
        var frame = RawWebSocket.Build(Opcode.Text, """{"to":"bob","text":"hi","clientMessageId":"c1"}"""u8.ToArray());
        await alice.BytesAsync([.. frame, .. frame, .. frame]);
        var first = (await alice.ReadJsonAsync()).ToString();
        Assert.Equal(first, (await alice.ReadJsonAsync()).ToString());
        Assert.Equal(first, (await alice.ReadJsonAsync()).ToString());
        Assert.Single(await new HttpUser(server.Http, "bob").InboxAsync());
    }

    [Theory]
    [InlineData("carol", "hi")]
    [InlineData("bob", "ho")]
    [InlineData("bob", "hi ")]
    public async Task A_clientMessageId_cannot_name_another_message(string to, string text)
    {
        await using var server = await ChatServer.StartNewAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        await alice.SendAndConfirmAsync("bob", "hi", "c1");

        await alice.SendAsync(to, text, "c1");
        var error = await alice.ExpectAsync("error");
        Assert.Equal(("client_message_id_reused", "c1"), (error.Code, error.ClientMessageId));
        (await new HttpUser(server.Http, "alice").SendAsync(to, text, "c1")).AssertProblem(409, "client_message_id_reused");

        Assert.Single(await new HttpUser(server.Http, "bob").InboxAsync());
        Assert.Empty(await new HttpUser(server.Http, "carol").InboxAsync());
    }

    [Fact]
    public async Task A_clientMessageId_is_its_senders_own_and_its_case_counts()
    {
        await using var server = await ChatServer.StartNewAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        await using var carol = await ChatClient.ConnectAsync(server.Url, "carol");
        var ids = new[]
        {
            (await alice.SendAndConfirmAsync("bob", "hi", "c1")).Id,
            (await carol.SendAndConfirmAsync("bob", "hi", "c1")).Id,
            (await alice.SendAndConfirmAsync("bob", "hi", "C1")).Id,
            (await alice.SendAndConfirmAsync("bob", "hi")).Id,
            (await alice.SendAndConfirmAsync("bob", "hi")).Id,
        };
        Assert.Equal(5, ids.Distinct().Count());
        Assert.Equal(ids, (await new HttpUser(server.Http, "bob").InboxAsync()).Select(message => message.Id));
    }

    [Fact]
    public async Task Answers_come_in_the_order_of_the_frames_whatever_each_of_them_takes()
    {
        await using var server = await new ChatServer { ["Chat:MessagesPerSecond"] = "0" }.StartAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice", "chat.ack");
        for (var round = 0; round < 50; round++)
        {
            await alice.SendAsync("alice", "to myself", $"{round}");
            await alice.PingAsync();
            await alice.RawTextAsync("no frame");
            await alice.SendAsync("bob", "hi", $"{round} again");
            await alice.SendAsync("b ob", "hi", $"{round} wrong");
            await alice.AckAsync(2 * round + 1);
            await alice.PingAsync();

            var answers = new List<string>();
            while (answers.Count(answer => answer == "pong") < 2)
            {
                var frame = await alice.ReceiveAsync();
                if (frame.Type is "sent" or "error" or "pong")
                    answers.Add(frame.Type == "pong" ? "pong" : frame.ClientMessageId ?? "no name");
            }

            Assert.Equal([$"{round}", "pong", "no name", $"{round} again", $"{round} wrong", "pong"], answers);
            Assert.Empty(await new HttpUser(server.Http, "alice").InboxAsync()); // the ack came before the ping: it counts before the pong
        }
    }

    [Fact]
    public async Task I9_Whoever_sends_a_thousand_before_listening_hears_of_a_failing_storage_in_time_and_none_of_them_is_stored_later()
    {
        await using var server = await new ChatServer { ["Chat:MessagesPerSecond"] = "0" }.StartAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        var http = new HttpUser(server.Http, "alice");
        await using (server.HoldWrites())
        {
            var started = Stopwatch.GetTimestamp();
            var posted = Enumerable.Range(0, 20).Select(i => http.SendAsync("bob", $"posted {i}")).ToArray();
            for (var i = 0; i < 1000; i++)
                await alice.SendAsync("bob", $"{i}", $"{i}");
            for (var i = 0; i < 1000; i++)
            {
                var error = await alice.ExpectAsync("error");
                Assert.Equal(("storage_unavailable", $"{i}"), (error.Code, error.ClientMessageId));
            }

            Assert.All(await Task.WhenAll(posted), answer => answer.AssertProblem(503, "storage_unavailable"));
            Assert.InRange(Stopwatch.GetElapsedTime(started).TotalSeconds, 0, 5); // the contract's
        }

        await Deadline.UntilAsync(async () => (await http.GetAsync("/health")).Status == 200, "storage is back");
        await alice.SendAndConfirmAsync("bob", "the first");
        Assert.Equal(["the first"], (await new HttpUser(server.Http, "bob").InboxAsync()).Select(message => message.Body));
    }

    [Fact]
    public async Task I9_While_storage_fails_the_sender_hears_it_nothing_is_pushed_and_it_recovers_by_itself()
    {
        await using var server = await ChatServer.StartNewAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        await using var bob = await ChatClient.ConnectAsync(server.Url, "bob");
        var http = new HttpUser(server.Http, "alice");

        await using (server.HoldWrites())
        {
            await alice.SendAsync("bob", "hi", "c1");
            var error = await alice.ExpectAsync("error");
            Assert.Equal(("storage_unavailable", "c1"), (error.Code, error.ClientMessageId));

            var refused = await http.SendAsync("bob", "hi", "c2");
            refused.AssertProblem(503, "storage_unavailable");
            Assert.NotNull(refused.Head.Headers.RetryAfter);
            Assert.Equal(503, (await http.GetAsync("/health")).Status);
            Assert.Equal(200, (await http.GetAsync("/alive")).Status);
        }

        await Deadline.UntilAsync(async () => (await http.SendAsync("bob", "hi", "c2")).Status is 200 or 201, "storage is back");
        var sent = await alice.SendAndConfirmAsync("bob", "hi", "c1");
        Assert.Equal("c1", sent.ClientMessageId);
        await alice.SendAndConfirmAsync("bob", "barrier");
        Assert.Equal(2, (await bob.BeforeAsync("barrier")).Count);
        // Of two servers each finds out for itself, at its next probe.
        await Deadline.UntilAsync(async () => await HealthAsync() == 200 && await HealthAsync() == 200, "/health to see it");

        async Task<int> HealthAsync() => (await http.GetAsync("/health")).Status;
    }

    [GeneratedRegex(@"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")]
    private static partial Regex UtcWithMilliseconds();
}
