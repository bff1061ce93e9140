using Dapper;
using Microsoft.Data.Sqlite;

namespace SimpleChat.Tests;

/// <summary>
/// A position can be proved (I11), at each door: <c>after</c> of a WebSocket, <c>Last-Event-ID</c> of a stream, <c>after</c> of history.
/// </summary>
public sealed class PositionTests
{
    public static TheoryData<string> Doors => ["/chat", "/inbox/stream", "/messages"];

    [Theory, MemberData(nameof(Doors))]
    public async Task I11_Anything_but_digits_or_digits_and_a_sentAt_is_answered_400(string door)
    {
        await using var server = await ChatServer.StartNewAsync();
        var sentAt = (await new HttpUser(server.Http, "alice").SendAsync("bob", "hi")).Json.SentAtAsWritten;
        string[] malformed =
        [
            "yesterday", "-1", "1.0", "0x1", "1e0", "1,1", "\u0661", "@", "1@", $"@{sentAt}", $"1@{sentAt}@", $"1@{sentAt}0",
            $"1 @{sentAt}", $"1@ {sentAt}",
            $"1@{sentAt[..^1]}", $"1@{sentAt.Replace("Z", "+00:00", StringComparison.Ordinal)}", $"1@{sentAt.ToLowerInvariant()}",
            $"1@{sentAt.Replace('T', ' ')}", $"1@{sentAt[..19]}Z", "1@2026-02-30T00:00:00.000Z", "1@1764068523123",
        ];
        // A header is ASCII.
        foreach (var position in malformed.Where(position => door != "/inbox/stream" || System.Text.Ascii.IsValid(position)))
            (await AskAsync(server, door, position)).AssertProblem(400);
        Assert.Empty(server.Log.Faults);
    }

    [Theory, MemberData(nameof(Doors))]
    public async Task I11_An_id_that_was_never_given_out_is_answered_409(string door)
    {
        await using var server = await ChatServer.StartNewAsync();
        await new HttpUser(server.Http, "alice").SendAsync("bob", "hi");
        foreach (var position in new[] { "2", "9007199254740991", "9223372036854775807", "99999999999999999999999" })
            (await AskAsync(server, door, position)).AssertProblem(409, "unknown_position");
        foreach (var position in new[] { "0", "1", "01" })
            Assert.True((await AskAsync(server, door, position)).Status is 101 or 200);
    }

    [Theory, MemberData(nameof(Doors))]
    public async Task I11_A_message_that_this_user_neither_sent_nor_received_at_that_time_is_answered_409(string door)
    {
        await using var server = await ChatServer.StartNewAsync();
        var (alice, carol) = (new HttpUser(server.Http, "alice"), new HttpUser(server.Http, "carol"));
        var (sent, strange, received) =
            (await alice.SendAsync("bob", "1"), await carol.SendAsync("bob", "2"), await carol.SendAsync("alice", "3"));
        foreach (var known in new[] { sent.Json.Position, received.Json.Position })
            Assert.True((await AskAsync(server, door, known)).Status is 101 or 200);

        var erased = (await alice.SendAsync("bob", "4")).Json.Position;
        await new SqliteConnection($"Data Source={server.DatabasePath}").ExecuteAsync("DELETE FROM MessageDB WHERE Id = 4");
        string[] unknown =
        [
            strange.Json.Position, erased, $"1@2025-01-01T00:00:00.000Z", $"2@{sent.Json.SentAtAsWritten}",
            $"5@{sent.Json.SentAtAsWritten}",
            $"0@{sent.Json.SentAtAsWritten}", $"99999999999999999999999@{sent.Json.SentAtAsWritten}",
        ];
        foreach (var position in unknown)
            (await AskAsync(server, door, position)).AssertProblem(409, "unknown_position");
    }

    [Fact]
    public async Task I11_After_a_backup_was_put_back_a_position_of_what_came_later_is_refused_and_one_of_what_came_before_is_not()
    {
        await using var server = await ChatServer.StartNewAsync();
        var kept = (await new HttpUser(server.Http, "alice").SendAsync("bob", "kept")).Json.Position;
        await server.StopAsync();
        File.Copy(server.DatabasePath, server.DatabasePath + ".backup");
        await server.StartAsync();
        var lost = (await new HttpUser(server.Http, "alice").SendAsync("bob", "lost")).Json.Position;
        await server.StopAsync();
        File.Move(server.DatabasePath + ".backup", server.DatabasePath, overwrite: true);
        await server.StartAsync();
        await new HttpUser(server.Http, "alice").SendAsync("bob", "has the id of what was lost");

        (await AskAsync(server, "/chat", lost, "bob")).AssertProblem(409, "unknown_position");
        await using var bob = await ChatClient.ConnectAsync(server.Url, "bob", position: kept);
        Assert.Equal("has the id of what was lost", (await bob.ExpectAsync("message")).Body);
    }

    [Theory, MemberData(nameof(Doors))]
    public async Task I11_A_position_that_storage_cannot_prove_just_now_is_answered_503(string door)
    {
        await using var server = await ChatServer.StartNewAsync();
        var position = (await new HttpUser(server.Http, "alice").SendAsync("bob", "hi")).Json.Position;
        File.Move(server.DatabasePath, server.DatabasePath + ".away");
        var answer = await AskAsync(server, door, position);
        answer.AssertProblem(503, "storage_unavailable");
        Assert.NotNull(answer["Retry-After"]);
        File.Move(server.DatabasePath + ".away", server.DatabasePath);
    }

    private static async Task<RawResponse> AskAsync(ChatServer server, string door, string position, string user = "alice")
    {
        if (door == "/inbox/stream")
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, $"{door}?user={user}");
            request.Headers.TryAddWithoutValidation("Last-Event-ID", position);
            var answer = await server.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead).OrFail("the headers");
            var headers = answer.Headers.Concat(answer.Content.Headers)
                .ToDictionary(header => header.Key, header => string.Join(", ", header.Value));
            using (answer)
                return new RawResponse((int)answer.StatusCode, headers,
                    answer.IsSuccessStatusCode ? "" : await answer.Content.ReadAsStringAsync());
        }

        var target = $"{door}?user={user}&after={Uri.EscapeDataString(position)}";
        return await RawHttp.AskAsync(server.Url,
            door == "/chat" ? new Handshake { Target = target } : new Handshake { Target = target, Upgrade = null, Connection = null });
    }
}
