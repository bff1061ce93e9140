using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;

namespace SimpleChat.Tests;

/// <summary>Chapter "The inbox over HTTP".</summary>
public sealed class HttpInboxTests
{
    [Fact]
    public async Task A_posted_message_is_answered_201_and_pushed()
    {
        await using var server = await ChatServer.StartNewAsync();
        await using var bob = await ChatClient.ConnectAsync(server.Url, "bob");
        var answer = await new HttpUser(server.Http, "alice").SendAsync("bob", "hi", "c1");
        Assert.Equal(201, answer.Status);
        Assert.Equal("application/json", answer.ContentType);
        Assert.Equal("from id sentAt text to", answer.Json.Properties);
        Assert.Equal(("alice", "bob", "hi"), (answer.Json.From, answer.Json.To, answer.Json.Body));
        var message = await bob.ExpectAsync("message");
        Assert.Equal((answer.Json.Id, answer.Json.SentAtAsWritten), (message.Id, message.SentAtAsWritten));
    }

    [Fact]
    public async Task A_repeated_post_is_answered_200_with_the_first_message()
    {
        await using var server = await ChatServer.StartNewAsync();
        var alice = new HttpUser(server.Http, "alice");
        var first = await alice.SendAsync("bob", "hi", "c1");
        var second = await alice.SendAsync("bob", "hi", "c1");
        Assert.Equal((201, 200), (first.Status, second.Status));
        Assert.Equal(first.Body, second.Body);
        Assert.Single(await new HttpUser(server.Http, "bob").InboxAsync());
    }

    [Theory]
    [InlineData("invalid_json", "")]
    [InlineData("invalid_json", "hi")]
    [InlineData("invalid_json", "[]")]
    [InlineData("invalid_json", "null")]
    [InlineData("invalid_json", """{"to":"bob","text":"hi"}}""")]
    [InlineData("invalid_recipient", """{"text":"hi"}""")]
    [InlineData("invalid_recipient", """{"to":"b ob","text":"hi"}""")]
    [InlineData("invalid_recipient", """{"to":7,"text":"hi"}""")]
    [InlineData("invalid_text", """{"to":"bob"}""")]
    [InlineData("invalid_text", """{"to":"bob","text":""}""")]
    [InlineData("invalid_text", """{"to":"bob","text":7}""")]
    [InlineData("invalid_text", """{"to":"bob","text":"\ud83d"}""")]
    [InlineData("invalid_client_message_id", """{"to":"bob","text":"hi","clientMessageId":""}""")]
    [InlineData("invalid_client_message_id", """{"to":"bob","text":"hi","clientMessageId":7}""")]
    public async Task I8_A_post_that_is_wrong_is_answered_400_with_the_code(string code, string body)
    {
        await using var server = await ChatServer.StartNewAsync();
        (await new HttpUser(server.Http, "alice").PostAsync("/messages", body)).AssertProblem(400, code);
        Assert.Empty(await new HttpUser(server.Http, "bob").InboxAsync());
        Assert.Empty(server.Log.Faults);
    }

    [Fact]
    public async Task A_body_is_read_as_a_frame_is()
    {
        await using var server = await ChatServer.StartNewAsync();
        var alice = new HttpUser(server.Http, "alice");
        var answer = await alice.PostAsync("/messages", """{"from":"eve","id":7,"mood":[{}],"text":"a\ud83d\ude00\u0000","to":"bob"}""");
        Assert.Equal(201, answer.Status);
        Assert.Equal(("alice", "a😀\0"), (answer.Json.From, answer.Json.Body));
    }

    [Fact]
    public async Task Text_that_is_not_UTF_8_is_answered_400()
    {
        await using var server = await ChatServer.StartNewAsync();
        using var content = new ByteArrayContent([.. """{"to":"bob","text":" """u8, 0xC3, 0x28, .. "\"}"u8]);
        content.Headers.ContentType = new("application/json");
        (await new HttpUser(server.Http, "alice").RequestAsync(HttpMethod.Post, "/messages", content)).AssertProblem(400);
        Assert.Empty(await new HttpUser(server.Http, "bob").InboxAsync());
        Assert.Empty(server.Log.Faults);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_body_over_the_limit_is_answered_413_and_one_at_the_limit_is_taken(bool chunked)
    {
        await using var server = await new ChatServer { ["Chat:MaxMessageBytes"] = "1024" }.StartAsync();
        Assert.Equal(201, (await PostAsync(1024)).Status);
        (await PostAsync(1025)).AssertProblem(413);
        (await PostAsync(200_000)).AssertProblem(413);
        Assert.Single(await new HttpUser(server.Http, "bob").InboxAsync());
        Assert.Empty(server.Log.Faults);

        Task<HttpAnswer> PostAsync(int bytes)
        {
            const string Empty = """{"to":"bob","text":""}""";
            var body = Encoding.UTF8.GetBytes(Empty.Insert(Empty.Length - 2, new string('x', bytes - Empty.Length)));
            HttpContent content = chunked ? new StreamContent(new Unseekable(body)) : new ByteArrayContent(body);
            content.Headers.ContentType = new("application/json");
            return new HttpUser(server.Http, "alice").RequestAsync(HttpMethod.Post, "/messages", content);
        }
    }

    [Theory]
    [InlineData("""{"type":"ping","to":"bob","text":"hi"}""", 201, null)]
    [InlineData("""{"type":"ack","ids":[1],"to":"bob","text":"hi"}""", 201, null)]
    [InlineData("""{"type":"no such type","to":"bob","text":"hi"}""", 201, null)]
    [InlineData("""{"type":"ping"}""", 400, "invalid_recipient")]
    [InlineData("""{"type":"ping","to":"b ob","text":"hi"}""", 400, "invalid_recipient")]
    [InlineData("""{"type":"ack","ids":[1],"to":"bob","text":""}""", 400, "invalid_text")]
    public async Task A_body_says_what_it_is_by_where_it_goes_and_a_type_in_it_means_nothing(string body, int status, string? code)
    {
        await using var server = await ChatServer.StartNewAsync();
        var answer = await new HttpUser(server.Http, "alice").PostAsync("/messages", body);
        Assert.Equal(status, answer.Status);
        if (code is not null)
            answer.AssertProblem(status, code);
        Assert.Equal(status == 201 ? 1 : 0, (await new HttpUser(server.Http, "bob").InboxAsync()).Count);
    }

    [Theory]
    [InlineData("""{"type":"send","to":"alice","text":"hi","ids":[1]}""", 204)]
    [InlineData("""{"type":"ping","ids":[1.0]}""", 204)] // 1.0 is 1
    [InlineData("""{"type":"ping"}""", 400)]
    public async Task The_same_for_an_ack(string body, int status)
    {
        await using var server = await ChatServer.StartNewAsync();
        Assert.Equal(1, (await new HttpUser(server.Http, "alice").SendAsync("bob", "hi")).Json.Id);
        var bob = new HttpUser(server.Http, "bob");
        Assert.Equal(status, (await bob.PostAsync("/inbox/ack", body)).Status);
        Assert.Equal(status == 204 ? 0 : 1, (await bob.InboxAsync()).Count);
        Assert.Empty(await new HttpUser(server.Http, "alice").InboxAsync());
    }

    [Fact]
    public async Task A_page_of_a_listed_origin_may_use_the_inbox_and_read_the_answers()
    {
        const string Origin = "https://chat.example.org";
        await using var server = await new ChatServer { ["Chat:AllowedOrigins:0"] = Origin }.StartAsync();
        server.Http.DefaultRequestHeaders.Add("Origin", Origin);
        using var preflight = new HttpRequestMessage(HttpMethod.Options, "/messages?user=alice");
        preflight.Headers.Add("Access-Control-Request-Method", "POST");
        preflight.Headers.Add("Access-Control-Request-Headers", "content-type");
        var allowed = await server.Http.SendAsync(preflight).OrFail("an answer");
        Assert.True(allowed.IsSuccessStatusCode);
        var sent = (await new HttpUser(server.Http, "alice").SendAsync("bob", "hi")).Head;
        foreach (var answer in new[] { allowed, sent, (await new HttpUser(server.Http, null).GetAsync("/inbox")).Head })
            Assert.Equal(Origin, Assert.Single(answer.Headers.GetValues("Access-Control-Allow-Origin")));
    }

    [Fact]
    public async Task A_page_of_another_origin_is_answered_403_over_HTTP_too()
    {
        await using var server = await new ChatServer { ["Chat:AllowedOrigins:0"] = "https://chat.example.org" }.StartAsync();
        server.Http.DefaultRequestHeaders.Add("Origin", "https://evil.example");
        var alice = new HttpUser(server.Http, "alice");
        var preflight = await alice.RequestAsync(HttpMethod.Options, "/messages");
        foreach (var answer in new[] { preflight, await alice.SendAsync("bob", "hi"), await alice.GetAsync("/inbox") })
        {
            answer.AssertProblem(403);
            Assert.False(answer.Head.Headers.Contains("Access-Control-Allow-Origin"));
        }
    }

    [Theory]
    [InlineData("text/html")]
    [InlineData("text/event-stream")]
    [InlineData("image/png, text/plain;q=0.5")]
    public async Task A_refusal_is_a_ProblemDetails_body_whatever_the_caller_would_rather_have(string accept)
    {
        await using var server = await ChatServer.StartNewAsync();
        server.Http.DefaultRequestHeaders.Add("Accept", accept);
        var alice = new HttpUser(server.Http, "alice");
        (await alice.GetAsync("/nothing/here")).AssertProblem(404);
        (await alice.GetAsync("/messages?limit=many")).AssertProblem(400);
        (await alice.GetAsync("/inbox?wait=61")).AssertProblem(400);
        (await alice.RequestAsync(HttpMethod.Delete, "/inbox")).AssertProblem(405);
        (await new HttpUser(server.Http, null).GetAsync("/inbox")).AssertProblem(401);
    }

    [Theory]
    [InlineData("/messages", "text/plain")]
    [InlineData("/messages", "application/x-www-form-urlencoded")]
    [InlineData("/inbox/ack", "text/plain")]
    public async Task A_body_that_is_not_declared_JSON_is_answered_415(string path, string mediaType)
    {
        await using var server = await ChatServer.StartNewAsync();
        var content = new StringContent("""{"to":"bob","text":"hi","ids":[1]}""", Encoding.UTF8, mediaType);
        var answer = await new HttpUser(server.Http, "alice").RequestAsync(HttpMethod.Post, path, content);
        answer.AssertProblem(415);
        Assert.Contains("Content-Type: application/json", answer.Body, StringComparison.Ordinal); // curl -d leaves it out
    }

    [Fact]
    public async Task The_inbox_holds_what_is_undelivered_oldest_first_and_reading_it_delivers_nothing()
    {
        await using var server = await ChatServer.StartNewAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        var bob = new HttpUser(server.Http, "bob");
        Assert.Equal("""{"messages":[]}""", (await bob.GetAsync("/inbox")).Body);

        var ids = new List<long>();
        for (var i = 0; i < 3; i++)
            ids.Add((await alice.SendAndConfirmAsync("bob", $"{i}")).Id);
        for (var i = 0; i < 2; i++)
        {
            var inbox = await bob.InboxAsync();
            Assert.Equal(ids, inbox.Select(message => message.Id));
            Assert.All(inbox, message => Assert.Equal("from id sentAt text to", message.Properties));
            Assert.Equal(ids, (await bob.GetAsync("/inbox?wait=30")).Messages.Select(message => message.Id));
        }

        Assert.Equal(204, (await bob.AckAsync(ids[1])).Status);
        Assert.Equal(ids[1], (await alice.ExpectAsync("delivered")).Id);
        Assert.Equal([ids[0], ids[2]], (await bob.InboxAsync()).Select(message => message.Id));

        Assert.Equal(204, (await bob.AckAsync([.. ids, 4711])).Status);
        Assert.Empty(await bob.InboxAsync());
        Assert.Equal(ids[0], (await alice.ExpectAsync("delivered")).Id);
        Assert.Equal(ids[2], (await alice.ExpectAsync("delivered")).Id);
    }

    [Fact]
    public async Task A_poll_is_answered_with_at_most_256_messages()
    {
        await using var server = await new ChatServer { ["Chat:MessagesPerSecond"] = "0" }.StartAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        for (var i = 0; i < 257; i++)
            await alice.SendAsync("bob", $"{i}");
        for (var i = 0; i < 257; i++)
            await alice.ExpectAsync("sent");

        var bob = new HttpUser(server.Http, "bob");
        foreach (var path in new[] { "/inbox", "/inbox?wait=1" })
        {
            var page = (await bob.GetAsync(path)).Messages;
            Assert.Equal(Enumerable.Range(0, 256).Select(i => i.ToString(CultureInfo.InvariantCulture)),
                page.Select(message => message.Body));
        }

        await bob.AckAsync([.. (await bob.InboxAsync()).Select(message => message.Id)]);
        Assert.Equal("256", Assert.Single(await bob.InboxAsync()).Body);
    }

    [Fact]
    public async Task A_long_poll_is_answered_when_a_message_comes()
    {
        await using var server = await ChatServer.StartNewAsync();
        var bob = new HttpUser(server.Http, "bob");
        var alice = new HttpUser(server.Http, "alice");
        for (var i = 0; i < 10; i++)
        {
            var poll = bob.GetAsync("/inbox?wait=60"); // six times as long as the test would wait
            await alice.SendAsync("carol", "none of bob's business");
            var sent = await alice.SendAsync("bob", $"{i}");
            var message = Assert.Single((await poll).Messages);
            Assert.Equal((sent.Json.Id, $"{i}"), (message.Id, message.Body));
            await bob.AckAsync(message.Id);
        }
    }

    [Fact]
    public async Task A_long_poll_of_an_empty_inbox_is_answered_after_the_wait()
    {
        await using var server = await ChatServer.StartNewAsync();
        var watch = Stopwatch.StartNew();
        var answer = await new HttpUser(server.Http, "bob").GetAsync("/inbox?wait=1");
        Assert.Equal((200, """{"messages":[]}"""), (answer.Status, answer.Body));
        Assert.InRange(watch.Elapsed.TotalSeconds, 0.9, 9);
        Assert.Equal("""{"messages":[]}""", (await new HttpUser(server.Http, "bob").GetAsync("/inbox?wait=0")).Body);
    }

    [Theory]
    [InlineData("61")]
    [InlineData("-1")]
    [InlineData("soon")]
    public async Task A_wait_outside_0_to_60_is_answered_400(string wait)
    {
        await using var server = await ChatServer.StartNewAsync();
        (await new HttpUser(server.Http, "bob").GetAsync($"/inbox?wait={wait}")).AssertProblem(400);
    }

    [Fact]
    public async Task I2_A_long_poll_whose_client_went_away_takes_nothing_with_it()
    {
        await using var server = await ChatServer.StartNewAsync();
        using (var gone = await RawHttp.ConnectAsync(server.Url))
        {
            await gone.Stream.WriteAsync(
                Encoding.ASCII.GetBytes($"GET /inbox?wait=60&user=bob HTTP/1.1\r\nHost: {server.Url.Authority}\r\n\r\n"));
            gone.Reset();
        }

        await new HttpUser(server.Http, "alice").SendAsync("bob", "hi");
        Assert.Equal("hi", Assert.Single(await new HttpUser(server.Http, "bob").InboxAsync()).Body);
        Assert.Empty(server.Log.Faults);
    }

    [Theory]
    [InlineData("invalid_ack", "{}")]
    [InlineData("invalid_ack", """{"ids":41}""")]
    [InlineData("invalid_ack", """{"ids":["41"]}""")]
    [InlineData("invalid_json", "41")]
    [InlineData("invalid_json", "[41]")]
    [InlineData("invalid_json", "")]
    public async Task An_ack_that_is_wrong_is_answered_400(string code, string body)
    {
        await using var server = await ChatServer.StartNewAsync();
        (await new HttpUser(server.Http, "bob").PostAsync("/inbox/ack", body)).AssertProblem(400, code);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task I8_An_ack_of_more_than_1024_ids_repeats_counted_acknowledges_none(bool asFrame)
    {
        await using var server = await ChatServer.StartNewAsync();
        var id = (await new HttpUser(server.Http, "alice").SendAsync("bob", "hi")).Json.Id;
        var bob = new HttpUser(server.Http, "bob");
        await using var socket = await ChatClient.ConnectAsync(server.Url, "bob", "chat.ack", after: id);
        Assert.Equal("invalid_ack", await AckAsync(1025));
        Assert.Single(await bob.InboxAsync());
        Assert.Null(await AckAsync(1024));
        Assert.Empty(await bob.InboxAsync());

        async Task<string?> AckAsync(int count)
        {
            var ids = Enumerable.Repeat(id, count).ToArray();
            if (!asFrame)
                return (await bob.AckAsync(ids)) is { Status: 400 } refused ? refused.Json.Code : null;
            await socket.AckAsync(ids);
            await socket.PingAsync(); // is answered after the ack, which is answered only if it is refused
            return await socket.ReceiveAsync() is { Type: "error" } error && await socket.FindAsync("pong") is not null ? error.Code : null;
        }
    }

    [Fact]
    public async Task Presence_says_who_has_a_connection()
    {
        await using var server = await ChatServer.StartNewAsync();
        var alice = new HttpUser(server.Http, "alice");
        var offline = await alice.GetAsync("/users/bob/presence");
        Assert.Equal((200, """{"user":"bob","online":false}"""), (offline.Status, offline.Body));
        await using var first = await ChatClient.ConnectAsync(server.Url, "bob");
        await using var second = await ChatClient.ConnectAsync(server.Url, "bob");
        Assert.Equal("""{"user":"bob","online":true}""", (await alice.GetAsync("/users/bob/presence")).Body);
        await first.CloseAsync();
        Assert.True(await alice.SeesOnlineAsync("bob"));
        Assert.False(await alice.SeesOnlineAsync("Bob"));
        (await alice.GetAsync("/users/b%20ob/presence")).AssertProblem(400);
    }

    [Theory]
    [InlineData("PUT", "/messages")]
    [InlineData("DELETE", "/inbox")]
    [InlineData("GET", "/inbox/ack")]
    [InlineData("POST", "/users/bob/presence")]
    public async Task Another_method_is_answered_405_with_those_that_work(string method, string path)
    {
        await using var server = await ChatServer.StartNewAsync();
        var answer = await new HttpUser(server.Http, "alice").RequestAsync(new HttpMethod(method), path);
        answer.AssertProblem(405);
        Assert.NotEmpty(answer.Head.Content.Headers.Allow);
    }

    [Fact]
    public async Task A_path_that_is_not_there_is_answered_404()
    {
        await using var server = await ChatServer.StartNewAsync();
        (await new HttpUser(server.Http, "alice").GetAsync("/messages/41")).AssertProblem(404);
    }

    [Theory]
    [InlineData("/alive")]
    [InlineData("/health")]
    public async Task Who_asks_for_its_health_needs_no_identity(string path)
    {
        await using var server = await new ChatServer { InMemory = true }.StartAsync();
        Assert.Equal(200, (await new HttpUser(server.Http, null).GetAsync(path)).Status);
        Assert.Equal(200, (await new HttpUser(server.Http, null).RequestAsync(HttpMethod.Head, path)).Status);
    }

    [Fact]
    public async Task I8_However_many_ask_for_its_health_there_is_one_probe_a_second()
    {
        var clock = new FakeTimeProvider();
        await using var server = await new ChatServer { InMemory = true, Time = clock }.StartAsync();
        var meters = server.Services.GetRequiredService<IMeterFactory>();
        var commits = 0;
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, _) =>
        {
            if (instrument.Meter.Scope == meters && instrument.Name == "simplechat.commit.size")
                listener.EnableMeasurementEvents(instrument);
        };
        listener.SetMeasurementEventCallback<int>((_, _, _, _) => Interlocked.Increment(ref commits));
        listener.Start();
        for (var second = 1; second <= 3; second++)
        {
            var answers = await Task.WhenAll(Enumerable.Range(0, 50).Select(_ => new HttpUser(server.Http, null).GetAsync("/health")));
            Assert.All(answers, answer => Assert.Equal(200, answer.Status));
            Assert.Equal(200, (await new HttpUser(server.Http, null).GetAsync("/health")).Status);
            Assert.Equal(second, commits);
            clock.Advance(TimeSpan.FromSeconds(1));
        }
    }

    [Fact]
    public async Task Every_answer_but_those_for_everybody_is_kept_by_no_cache_and_embedded_by_no_other_origin()
    {
        await using var server = await ChatServer.StartNewAsync();
        var (alice, nobody) = (new HttpUser(server.Http, "alice"), new HttpUser(server.Http, null));
        HttpAnswer[] mine =
        [
            await alice.SendAsync("bob", "hi"), await alice.GetAsync("/messages"), await alice.GetAsync("/conversations"),
            await alice.GetAsync("/inbox"),
            await alice.AckAsync(1), await alice.GetAsync("/users/bob/presence"), await alice.GetAsync("/messages?limit=0"),
            await alice.GetAsync("/messages?limit=many"),
            await alice.PostAsync("/messages", "{"), await alice.GetAsync("/chat"), await nobody.GetAsync("/inbox"),
            await nobody.GetAsync("/nothing/here"),
            await alice.RequestAsync(HttpMethod.Delete, "/inbox"), await alice.GetAsync("/webhook"),
        ];
        foreach (var answer in mine)
            Assert.Equal(("no-store", "nosniff", "same-origin"),
                (answer.Header("Cache-Control"), answer.Header("X-Content-Type-Options"), answer.Header("Cross-Origin-Resource-Policy")));
        foreach (var path in new[] { "/", "/app.js", "/alive", "/health", "/openapi/v1.json", "/asyncapi.json" })
            Assert.Equal((200, "no-cache"), ((await nobody.GetAsync(path)).Status, (await nobody.GetAsync(path)).Header("Cache-Control")));
        Assert.Equal("same-origin", (await nobody.GetAsync("/")).Header("Cross-Origin-Opener-Policy"));
        Assert.Contains("camera=()", (await nobody.GetAsync("/")).Header("Permissions-Policy"), StringComparison.Ordinal);
        var address = new Uri("/inbox/stream?user=alice", UriKind.Relative);
        using var stream = await server.Http.GetAsync(address, HttpCompletionOption.ResponseHeadersRead).OrFail("the headers");
        Assert.Equal("no-store", stream.Headers.CacheControl?.ToString());
    }

    [Fact]
    public async Task A_long_poll_ends_a_little_before_60_s_whatever_the_wait_with_what_there_is()
    {
        var clock = new FakeTimeProvider();
        await using var server = await new ChatServer { InMemory = true, Time = clock }.StartAsync();
        var poll = new HttpUser(server.Http, "bob").GetAsync("/inbox?wait=60");
        await Deadline.UntilAsync(() => new HttpUser(server.Http, "alice").SeesOnlineAsync("bob"), "the poll waits");
        await Deadline.UntilAsync(
            () =>
            {
                // The poll may take its time from the clock a moment after it is seen.
                if (clock.GetUtcNow() - clock.Start < TimeSpan.FromSeconds(59))
                    clock.Advance(TimeSpan.FromSeconds(1));
                return Task.FromResult(poll.IsCompleted);
            },
            "an answer");
        Assert.Equal((200, """{"messages":[]}"""), ((await poll).Status, (await poll).Body));
    }

    [Fact]
    public async Task What_health_stores_and_reads_is_nobodys_message()
    {
        await using var server = await new ChatServer { InMemory = true }.StartAsync();
        var alice = new HttpUser(server.Http, "alice");
        var first = await alice.SendAsync("bob", "one");
        for (var i = 0; i < 5; i++)
            Assert.Equal(200, (await alice.GetAsync("/health")).Status);
        Assert.Single(await new HttpUser(server.Http, "bob").InboxAsync());
        Assert.Single((await alice.GetAsync("/messages")).Messages);
        Assert.True((await alice.SendAsync("bob", "two")).Json.Id > first.Json.Id);
    }

    [Fact]
    public async Task The_OpenAPI_document_describes_every_path_with_who_is_asking_and_what_may_be_left_out()
    {
        await using var server = await new ChatServer { InMemory = true }.StartAsync();
        var answer = await new HttpUser(server.Http, null).GetAsync("/openapi/v1.json");
        Assert.Equal(200, answer.Status);
        var paths = answer.Json.Json.GetProperty("paths");
        foreach (var (path, method, parameters) in new[]
        {
            ("/chat", "get", "after access_token user"), ("/inbox/stream", "get", "Last-Event-ID access_token user"),
            ("/messages", "post", "user"), ("/messages", "get", "with before after limit days user"),
            ("/conversations", "get", "before limit user"), ("/inbox", "get", "wait user"), ("/inbox/ack", "post", "user"),
            ("/users/{id}/presence", "get", "id user"),
            ("/webhook", "put", "user"), ("/webhook", "get", "user"), ("/webhook", "delete", "user"), ("/alive", "get", ""),
            ("/health", "get", ""),
        })
        {
            Assert.True(paths.TryGetProperty(path, out var operations), $"{path} is missing among {string.Join(' ', Names(paths))}");
            Assert.True(operations.TryGetProperty(method, out var operation), $"{method} {path} is missing");
            var described = operation.TryGetProperty("parameters", out var list)
                ? list.EnumerateArray().Select(one => one.GetProperty("name").GetString())
                : [];
            Assert.Equal(parameters, string.Join(' ', described));
        }

        Assert.Equal(answer.Body, (await new HttpUser(server.Http, null).GetAsync("/openapi/v1.json?again")).Body);
        foreach (var (path, method, statuses) in new[]
        {
            ("/messages", "post", "200 201 400 401 403 408 409 413 415 429 503"), ("/messages", "get", "200 400 401 403 409 429 503"),
            ("/conversations", "get", "200 400 401 403 429 503"), ("/inbox", "get", "200 400 401 403 429 503"),
            ("/inbox/ack", "post", "204 400 401 403 408 413 415 429 503"), ("/inbox/stream", "get", "200 400 401 403 409 429 503"),
            ("/users/{id}/presence", "get", "200 400 401 403 429 503"), ("/chat", "get", "101 400 401 403 409 426 429 503"),
            ("/alive", "get", "200 400 403 503"), ("/health", "get", "200 400 403 503"),
        })
            Assert.Equal(statuses, string.Join(' ',
                Names(paths.GetProperty(path).GetProperty(method).GetProperty("responses")).Order(StringComparer.Ordinal)));

        var schemas = answer.Json.Json.GetProperty("components").GetProperty("schemas");
        Assert.Equal(["to", "text"],
            schemas.GetProperty("SendBody").GetProperty("required").EnumerateArray().Select(name => name.GetString()));
        Assert.Contains("code", Names(schemas.GetProperty("ProblemDetails").GetProperty("properties")));
        Assert.Equal("integer",
            schemas.GetProperty("MessageBody").GetProperty("properties").GetProperty("id").GetProperty("type").GetString());

        static IEnumerable<string> Names(JsonElement json) => json.EnumerateObject().Select(property => property.Name);
    }

    /// <summary>A body whose length is not known beforehand, so that it is sent in chunks.</summary>
    private sealed class Unseekable(byte[] bytes) : MemoryStream(bytes)
    {
        public override bool CanSeek => false;
    }
}
