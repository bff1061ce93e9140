using System.Net;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json;

namespace SimpleChat.Lab;

/// <summary>Five ways to the same inbox, side by side. Each is a <see cref="Lane"/>; alice writes to all of them.</summary>
internal sealed class Ways : IAsyncDisposable
{
    private static readonly string[] Names = ["short", "long", "webhook", "sse", "websocket"];

    private static readonly TimeSpan Again = TimeSpan.FromSeconds(1);

    private readonly Record _record;
    private readonly Func<IPEndPoint?> _server;
    private readonly Dictionary<string, Cable> _cables;
    private readonly Dictionary<string, Lane> _lanes;
    private readonly Cable _calls;
    private readonly HttpClient _http = new(new SocketsHttpHandler { ActivityHeadersPropagator = null }); // each byte is counted
    private readonly CancellationTokenSource _over = new();
    private readonly HashSet<long> _stored = [];
    private readonly Task _running;
    private readonly ITimer _rest;

    /// <param name="record">The run.</param>
    /// <param name="time">The clock.</param>
    /// <param name="look">Looks whether the tables have changed.</param>
    /// <param name="server">Where the server is.</param>
    /// <param name="lab">Where the Lab is, which receives the webhook's calls.</param>
    public Ways(Record record, TimeProvider time, Action look, Func<IPEndPoint?> server, IPEndPoint lab)
    {
        (_record, _server) = (record, server);
        var tempo = new Tempo(time); // slow motion is for two people, not for measuring
        _cables = Names.ToDictionary(name => name, name => new Cable(name, null, tempo, time, look, server));
        _calls = new Cable("webhook", null, tempo, time, look, () => lab) { CountsFor = _cables["webhook"] };
        _lanes = Names.ToDictionary(name => name, name => new Lane(name, _cables[name], Tell));
        _running = Task.WhenAll(
            KeepAsync(end => _lanes["short"].PollAsync(_http, end)),
            KeepAsync(end => _lanes["long"].LongPollAsync(_http, end)),
            KeepAsync(end => _lanes["sse"].StreamAsync(_http, end)),
            KeepAsync(end => _lanes["websocket"].WebSocketAsync(end)),
            KeepAsync(async end =>
            {
                await _lanes["webhook"].RegisterAsync(_http, _calls.Port, end);
                await Task.Delay(Timeout.Infinite, end);
            }));
        _rest = time.CreateTimer(_ => Array.ForEach([.. _lanes.Values], lane => lane.TellRest()), null, Again, Again);
    }

    /// <summary>Sets how long a round trip takes.</summary>
    public void SetRoundTrip(TimeSpan time)
    {
        foreach (var cable in _cables.Values.Append(_calls))
            cable.Delay = time / 2;
    }

    /// <summary>Alice writes one message to each.</summary>
    /// <exception cref="HttpRequestException">The server is away.</exception>
    public Task SendAsync() => Task.WhenAll(Names.Select(async name =>
    {
        using var body = new StringContent($$"""{"to":"{{name}}","text":"hi"}""", Encoding.UTF8, "application/json");
        var server = _server() ?? throw new HttpRequestException("The server is away.");
        using var answer = await _http.PostAsync(new Uri($"http://{server}/messages?user=alice"), body, _over.Token);
        if (!answer.IsSuccessStatusCode)
            throw new HttpRequestException($"The server answered {(int)answer.StatusCode}.");
        using var message = JsonDocument.Parse(await answer.Content.ReadAsStringAsync(_over.Token));
        Stored(message.RootElement.GetProperty("id").GetInt64());
    }));

    /// <summary>The server called the webhook.</summary>
    public Task CalledAsync(HttpContext context) => _lanes["webhook"].CalledAsync(context);

    public async ValueTask DisposeAsync()
    {
        await _over.CancelAsync();
        await _rest.DisposeAsync();
        await _running;
        if (_server() is { } server)
        {
            try
            {
                using var gone = await _http.DeleteAsync(new Uri($"http://{server}/webhook?user=webhook"));
            }
            catch (Exception e) when (e is HttpRequestException or SocketException or OperationCanceledException)
            {
                // The server is gone, and its webhook may as well be.
            }
        }

        _http.Dispose();
        foreach (var cable in _cables.Values.Append(_calls))
            await cable.DisposeAsync();
        _over.Dispose();
    }

    /// <summary>Does it again a second after it failed, for as long as there is somebody to do it.</summary>
    private async Task KeepAsync(Func<CancellationToken, Task> act)
    {
        try
        {
            while (true)
            {
                try
                {
                    await act(_over.Token);
                }
                catch (Exception e) when (e is HttpRequestException or IOException or SocketException or WebSocketException
                    or JsonException)
                {
                    // The server is away. A connection that is reset as it opens is a SocketException.
                }

                await Task.Delay(Again, _over.Token);
            }
        }
        catch (OperationCanceledException)
        {
            // The lanes end.
        }
    }

    private void Tell(LaneEntry entry)
    {
        if (entry is { What: "arrived", Id: { } id })
            Stored(id); // it is, or it would not have been pushed
        _record.Add(entry);
    }

    private void Stored(long id)
    {
        lock (_stored)
        {
            if (_stored.Add(id))
                _record.Add(new LaneEntry(null, "stored", 0, 0, id));
        }
    }
}
