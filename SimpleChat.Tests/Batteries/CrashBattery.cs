using System.Diagnostics;
using Xunit.Abstractions;

namespace SimpleChat.Tests.Batteries;

/// <summary>
/// I1 against the one thing that cannot be argued with: kill -9, under load from many users over WebSocket and HTTP, at random moments and
/// at named ones. The long run: <c>ROUNDS=1050 dotnet test -c Release --filter CrashBattery</c>, which <c>MINUTES</c> can end earlier.
/// </summary>
[Trait("Category", Battery.Category)]
public sealed class CrashBattery(ITestOutputHelper output)
{
    private const int OverWebSocket = 10, OverHttp = 2;

    private const string DuringStart = "at random during start-up";
    private const string DuringShutdown = "at random during shutdown";
    private const string TooLate = "not killed, the shutdown was done before";

    /// <summary>A named point that is not reached under load after so long is given up.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    /// <summary>A restart is answered within this, 99 times in 100.</summary>
    private static readonly TimeSpan RestartLimit = TimeSpan.FromSeconds(2);

    private readonly CrashPoint[] _points = [.. CrashPoint.All.Where(point => point.Missing is null || Strace.IsDemanded)];
    private readonly List<TimeSpan> _restarts = [];
    private readonly SortedDictionary<string, int> _kills = new(StringComparer.Ordinal);

    [Fact]
    public async Task I1_What_was_confirmed_survives_kill_minus_9_at_any_moment()
    {
        var rounds = Battery.Rounds(19); // all the named points, and some random ones
        foreach (var point in CrashPoint.All.Except(_points))
            output.WriteLine($"Left out: {point.Name}; {point.Missing}");
        var random = new Random(Battery.Seed(output));
        using var folder = new TempFolder();
        string[] names = [.. Enumerable.Range(0, OverWebSocket + OverHttp).Select(i => $"user{i}")];
        var users = names.Select((name, i) => new CrashUser(name, i >= OverWebSocket, names, new Random(random.Next()))).ToArray();

        var clock = Stopwatch.StartNew();
        var limit = Battery.Duration(TimeSpan.FromHours(6));
        var round = 0;
        for (; round < rounds && clock.Elapsed < limit; round++)
            await RoundAsync(round, folder.DatabasePath, users, random);
        rounds = round;
        var took = clock.Elapsed;

        await using var last = await new ChatProcess { DatabasePath = folder.DatabasePath, ["Chat:MessagesPerSecond"] = "0" }.StartAsync();
        await Task.WhenAll(users.Select(user => user.ChatAsync(last, () => { }, new CancellationToken(canceled: true))));
        var stored = StoredState.Read(folder.DatabasePath);
        foreach (var user in users)
            await user.DrainAsync(last);
        last.Terminate();
        Assert.Equal(0, await last.ExitAsync());

        var verdict = Checker.Check([.. users.Select(user => user.Record)], stored);
        _restarts.Sort();
        var (median, slowest) = (Percentile(0.5), Percentile(0.99));
        output.WriteLine($"{rounds} rounds in {took.TotalMinutes:F1} min; restart to first confirmation: " +
            $"p50 {median.TotalMilliseconds:F0} ms, p99 {slowest.TotalMilliseconds:F0} ms of {_restarts.Count}");
        foreach (var (name, count) in _kills)
            output.WriteLine($"{count,5} {name}");
        output.WriteLine(verdict.ToString());
        Assert.Empty(verdict.Findings);
        Assert.True(verdict.Confirmed > rounds * 20, "Hardly anything was confirmed: there was no load.");
        Assert.Empty(StoredState.Read(folder.DatabasePath).Inbox);
        if (rounds >= 100) // a few say nothing about a percentile
        {
            Assert.All(_points,
                point => Assert.True(_kills.GetValueOrDefault(point.Name) >= Math.Min(20, rounds / 100), $"Hardly ever: {point}."));
            Assert.True(slowest < RestartLimit, $"A restart took {slowest}.");
        }

        Assert.True(rounds < 1000 || verdict.Confirmed > 1_000_000, "Too little was confirmed for so many rounds.");
    }

    /// <summary>
    /// Starts the server and lets it die: every second round at the next of the named points, otherwise at a random moment.
    /// </summary>
    private async Task RoundAsync(int round, string path, CrashUser[] users, Random random)
    {
        var point = round < _points.Length ? _points[round] : round % 2 == 0 ? _points[round / 2 % _points.Length] : null;
        var kind = point?.Name ?? random.Next(6) switch { 0 => DuringStart, 1 => DuringShutdown, _ => "at random under load" };
        await using var server =
            point?.NewServer(path, random) ?? new ChatProcess { DatabasePath = path, ["Chat:MessagesPerSecond"] = "0" };
        var started = Stopwatch.GetTimestamp();
        server.Launch();
        var over = server.OverAsync();
        if (kind == DuringStart)
            await Moment(random, 600);
        else if (await ListensAsync(server, over))
            await LoadAsync();
        else if (point is not { AtStart: true })
            kind = $"at start-up, too early for: {kind}";
        server.Kill();
        var code = await server.ExitAsync();
        if (code == 0 && (kind == DuringShutdown || point is { AtEnd: true }))
            kind = TooLate;
        Assert.True(
            code == (kind == TooLate ? 0 : 128 + 9),
            $"The server was to die of SIGKILL, {kind}; it ended with {code}: {string.Join('\n', server.Errors)}");
        _kills[kind] = _kills.GetValueOrDefault(kind) + 1;

        async Task LoadAsync()
        {
            using var never = new CancellationTokenSource();
            using var tracer = point?.Arm(server, random);
            var first = 0;
            var load = Task.WhenAll(users.Select(user => user.ChatAsync(server, FirstIsTimed, never.Token)));
            if (point is null or { AtEnd: true })
                await Moment(random, 600);
            if (kind == DuringShutdown || point is { AtEnd: true })
                server.Terminate();
            if (kind == DuringShutdown)
                await Moment(random, 100);
            if (point is { AtStart: true } || point is not null && await Task.WhenAny(over, Task.Delay(Patience)) != over)
                kind = $"under load, because not reached: {point}";
            server.Kill();
            await load.OrFail($"the end of the server, {kind}");

            void FirstIsTimed()
            {
                if (Interlocked.Exchange(ref first, 1) == 0 && point is null)
                    _restarts.Add(Stopwatch.GetElapsedTime(started));
            }
        }
    }

    /// <returns>Whether it listens; otherwise it is over.</returns>
    private static async Task<bool> ListensAsync(ChatProcess server, Task over)
    {
        try
        {
            await server.ListensAsync();
            return true;
        }
        catch (InvalidOperationException)
        {
            await over.OrFail("its end");
            return false;
        }
    }

    private TimeSpan Percentile(double part) => _restarts.Count == 0 ? TimeSpan.Zero : _restarts[(int)(part * (_restarts.Count - 1))];

    /// <summary>The random moment of a kill, not a wait for something.</summary>
    private static Task Moment(Random random, int milliseconds) => Task.Delay(random.Next(milliseconds));
}
