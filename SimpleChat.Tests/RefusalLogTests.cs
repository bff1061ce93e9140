using System.Diagnostics.Metrics;
using System.Globalization;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;

namespace SimpleChat.Tests;

/// <summary>Refusals: in the log within bounds, and in the meter by reason.</summary>
public sealed class RefusalLogTests : IDisposable
{
    private readonly FakeTimeProvider _time = new();
    private readonly CapturedLog _log = new();
    private readonly ServiceProvider _services;
    private readonly RefusalLog _refusals;

    public RefusalLogTests()
    {
        _services = new ServiceCollection().AddMetrics().AddLogging(logging => logging.AddProvider(_log))
            .AddSingleton<Metrics>().AddSingleton<TimeProvider>(_time).AddSingleton<RefusalLog>().BuildServiceProvider();
        _refusals = _services.GetRequiredService<RefusalLog>();
    }

    public void Dispose()
    {
        _services.Dispose();
        _log.Dispose();
    }

    [Fact]
    public void The_first_refusal_is_a_line_and_those_after_it_are_a_line_with_a_count_in_each_interval()
    {
        for (var i = 0; i < 1000; i++)
            _refusals.Refused("rate_limited", "mallory");
        Assert.Equal(["mallory was refused: rate_limited."], Take());

        _time.Advance(RefusalLog.Interval);
        Assert.Equal(["mallory was refused 999 times more within 10 s: rate_limited."], Take());
        _time.Advance(RefusalLog.Interval); // nothing came: forgotten
        _time.Advance(RefusalLog.Interval);
        Assert.Empty(Take());

        _refusals.Refused("rate_limited", "mallory");
        Assert.Equal(["mallory was refused: rate_limited."], Take());
    }

    [Fact]
    public void I8_Whoever_varies_names_fills_neither_the_log_nor_memory()
    {
        const int Count = 100_000;
        for (var i = 0; i < Count; i++)
            _refusals.Refused("invalid_token", string.Create(CultureInfo.InvariantCulture, $"10.0.{i / 256}.{i % 256}"));
        var first = Take();
        Assert.Equal(RefusalLog.MaxRemembered + 1, first.Count);
        Assert.Equal($"{RefusalLog.Others} was refused: invalid_token.", first[^1]);

        _time.Advance(RefusalLog.Interval);
        var rest = Count - RefusalLog.MaxRemembered - 1;
        Assert.Equal([$"{RefusalLog.Others} was refused {rest} times more within 10 s: invalid_token."], Take());
    }

    [Fact]
    public void What_smells_of_an_attack_is_a_warning_and_the_rest_is_information()
    {
        string[] reasons = ["invalid_token", "expired_token", "foreign_origin", "rate_limited", "no_identity", "too_many_connections"];
        foreach (var reason in reasons)
            _refusals.Refused(reason, "somebody");
        Assert.Equal(
            [LogLevel.Warning, LogLevel.Information, LogLevel.Warning, LogLevel.Information, LogLevel.Information, LogLevel.Information],
            _log.Entries.Select(entry => entry.Level));
    }

    [Fact]
    public async Task Every_way_of_being_refused_over_HTTP_is_in_the_log_and_in_the_meter()
    {
        var jwt = new Jwt();
        await using var server = await new ChatServer
        {
            Environment = "Production",
            ["Chat:MessagesPerSecond"] = "1",
            ["Chat:ConnectionsPerUser"] = "1",
        }.With(jwt.Settings).StartAsync();
        using var counted = new Counted(server.Services.GetRequiredService<IMeterFactory>());
        var token = jwt.Token("alice");
        var alice = new HttpUser(server.Http, null, token);
        using var line = await RawHttp.ConnectAsync(server.Url);
        Assert.Equal(101, (await line.AskAsync(new Handshake { Target = $"/chat?access_token={token}" }.For(server.Url))).Status);

        Assert.Equal(401, (await new HttpUser(server.Http, null).GetAsync("/inbox")).Status);
        Assert.Equal(401, (await new HttpUser(server.Http, null, token + "AA").GetAsync("/inbox")).Status);
        Assert.Equal(401, (await new HttpUser(server.Http, null, jwt.Token("alice", TimeSpan.FromMinutes(-10))).GetAsync("/inbox")).Status);
        Assert.Equal(401, (await RawHttp.AskAsync(server.Url, new Handshake { Target = "/chat?access_token=forged" })).Status);
        Assert.Equal(403, (await RawHttp.AskAsync(server.Url, new Handshake { Origin = "https://evil.example" })).Status);
        Assert.Equal(429, (await RawHttp.AskAsync(server.Url, new Handshake { Target = $"/chat?access_token={token}" })).Status);
        Assert.Equal(400, (await alice.PostAsync("/messages", "no json")).Status);
        Assert.Equal(413, (await alice.SendAsync("bob", new string('x', 70_000))).Status);
        while ((await alice.SendAsync("bob", "hi")).Status != 429)
        {
        }

        string[] expected =
        [
            "Information: 127.0.0.1 was refused: no_identity.",
            "Warning: 127.0.0.1 was refused: invalid_token.",
            "Information: 127.0.0.1 was refused: expired_token.",
            "Warning: 127.0.0.1 was refused: foreign_origin.",
            "Information: alice was refused: too_many_connections.",
            "Information: alice was refused: invalid_json.",
            "Information: alice was refused: too_big.",
            "Information: alice was refused: rate_limited.",
        ];
        var told = server.Log.Entries.Where(entry => entry.Category == typeof(RefusalLog).FullName);
        Assert.Equal(expected, told.Select(entry => $"{entry.Level}: {entry.Message}"));
        Assert.Equal(2, counted["invalid_token"]);
        string[] once =
            ["no_identity", "expired_token", "foreign_origin", "too_many_connections", "invalid_json", "too_big", "rate_limited"];
        Assert.All(once, reason => Assert.Equal(1, counted[reason]));
    }

    [Fact]
    public async Task Frames_that_are_refused_are_in_the_log_and_in_the_meter()
    {
        await using var server = await new ChatServer { ["Chat:MessagesPerSecond"] = "1" }.StartAsync();
        using var counted = new Counted(server.Services.GetRequiredService<IMeterFactory>());
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        await alice.RawTextAsync("no json");
        await alice.FindAsync("error");
        for (var i = 0; i < 20; i++)
            await alice.SendAsync("bob", "hi");
        await alice.AssertAliveAsync();

        Assert.Equal(1, counted["invalid_json"]);
        Assert.InRange(counted["rate_limited"], 10, 18);
        Assert.Single(server.Log.Entries, entry => entry.Message == "alice was refused: invalid_json.");
        Assert.Single(server.Log.Entries, entry => entry.Message == "alice was refused: rate_limited.");
    }

    [Fact]
    public async Task Whoever_is_closed_for_what_it_sent_is_in_the_log_and_in_the_meter()
    {
        await using var server = await new ChatServer { ["Chat:MessageTimeout"] = "00:00:01" }.StartAsync();
        using var counted = new Counted(server.Services.GetRequiredService<IMeterFactory>());
        await CloseAsync("binary_message", mallory => mallory.FrameAsync(Opcode.Binary, [1]));
        await CloseAsync("protocol_error", mallory => mallory.FrameAsync(Opcode.Text, "{}"u8.ToArray(), rsv: 7));
        await CloseAsync("message_too_big", mallory => mallory.TextAsync(new string('x', 70_000)));
        await CloseAsync("message_too_slow", mallory => mallory.FrameAsync(Opcode.Text, "{"u8.ToArray(), fin: false));

        async Task CloseAsync(string reason, Func<RawWebSocket, Task> misbehave)
        {
            using var mallory = await RawWebSocket.ConnectAsync(server.Url, "mallory");
            await misbehave(mallory);
            await mallory.ReadUntilCloseAsync();
            await Deadline.UntilAsync(
                () => Task.FromResult(server.Log.Entries.Any(entry => entry.Message == $"mallory was refused: {reason}.")), reason);
            Assert.Equal(1, counted[reason]);
        }
    }

    /// <summary>What was logged since it was asked last.</summary>
    private List<string> Take()
    {
        List<string> lines = [.. _log.Entries.Select(entry => entry.Message).Skip(_taken)];
        _taken += lines.Count;
        return lines;
    }

    private int _taken;

    /// <summary>Listens to <c>simplechat.refused</c> of one server.</summary>
    private sealed class Counted : IDisposable
    {
        private readonly System.Collections.Concurrent.ConcurrentDictionary<string, long> _counts = new();
        private readonly MeterListener _listener = new();

        public Counted(IMeterFactory meters)
        {
            _listener.InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Meter.Scope == meters && instrument.Name == "simplechat.refused")
                    listener.EnableMeasurementEvents(instrument);
            };
            _listener.SetMeasurementEventCallback<long>((_, count, tags, _) =>
                _counts.AddOrUpdate((string)tags[0].Value!, count, (_, before) => before + count));
            _listener.Start();
        }

        public long this[string reason] => _counts.GetValueOrDefault(reason);

        public void Dispose() => _listener.Dispose();
    }
}
