using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;

namespace SimpleChat.Tests;

/// <summary>An answer over HTTP.</summary>
internal sealed record HttpAnswer(int Status, HttpResponseMessage Head, string Body)
{
    public Frame Json => Frame.Parse(Body);

    /// <summary>The messages in it.</summary>
    public List<Frame> Messages => Status == 200
        ? [.. Json.Json.GetProperty("messages").EnumerateArray().Select(message => new Frame(message))]
        : throw new InvalidOperationException($"Got {Status}: {Body}");

    /// <summary>The last messages of the conversations in it.</summary>
    public List<Frame> Conversations =>
        [.. Json.Json.GetProperty("conversations").EnumerateArray().Select(one => new Frame(one.GetProperty("last")))];

    public string? ContentType => Head.Content.Headers.ContentType?.MediaType;

    /// <summary>A header's value; null if it is not there.</summary>
    public string? Header(string name) => Head.Headers.TryGetValues(name, out var values) ? string.Join(", ", values) : null;

    public bool HasMore => Json.Json.GetProperty("hasMore").GetBoolean();

    /// <summary>It is a refusal as RFC 9457 has it, with this status and, if given, this code.</summary>
    public void AssertProblem(int status, string? code = null)
    {
        Assert.True(Status == status, $"Expected {status}, got {Status}: {Body}");
        Assert.Equal("application/problem+json", ContentType);
        Assert.Equal(status, Json.Json.GetProperty("status").GetInt32());
        Assert.NotEmpty(Json.Text("title"));
        if (code is not null)
            Assert.Equal(code, Json.Code);
    }
}

/// <summary>A user without a WebSocket.</summary>
/// <param name="http">Leads to the server.</param>
/// <param name="user">Who it is, on trust; null for nobody.</param>
/// <param name="token">A bearer token; null for none.</param>
internal sealed class HttpUser(HttpClient http, string? user, string? token = null)
{
    public Task<HttpAnswer> SendAsync(string to, string text, string? clientMessageId = null) =>
        PostAsync("/messages", JsonSerializer.Serialize(new { to, text, clientMessageId }, ChatClient.Json));

    public Task<HttpAnswer> AckAsync(params long[] ids) => PostAsync("/inbox/ack", JsonSerializer.Serialize(new { ids }));

    /// <summary>What waits, by a short poll.</summary>
    public async Task<List<Frame>> InboxAsync()
    {
        var answer = await GetAsync("/inbox");
        Assert.Equal(200, answer.Status);
        return answer.Messages;
    }

    public async Task<bool> SeesOnlineAsync(string other)
    {
        var answer = await GetAsync($"/users/{Uri.EscapeDataString(other)}/presence");
        Assert.Equal(200, answer.Status);
        Assert.Equal("online user", answer.Json.Properties);
        Assert.Equal(other, answer.Json.Text("user"));
        return answer.Json.Json.GetProperty("online").GetBoolean();
    }

    public Task<HttpAnswer> GetAsync(string path) => RequestAsync(HttpMethod.Get, path);

    public Task<HttpAnswer> PostAsync(string path, string body) =>
        RequestAsync(HttpMethod.Post, path, new StringContent(body, Encoding.UTF8, "application/json"));

    public async Task<HttpAnswer> RequestAsync(HttpMethod method, string path, HttpContent? content = null)
    {
        if (user is not null)
            path += (path.Contains('?', StringComparison.Ordinal) ? '&' : '?') + "user=" + Uri.EscapeDataString(user);
        using var request = new HttpRequestMessage(method, path) { Content = content };
        if (token is not null)
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        var response = await http.SendAsync(request).OrFail($"an answer to {method} {path}");
        return new HttpAnswer((int)response.StatusCode, response, await response.Content.ReadAsStringAsync());
    }
}
