using System.Diagnostics;
using Xunit.Abstractions;

namespace SimpleChat.Tests.Batteries;

/// <summary>
/// I8: what one does is that one's problem alone. Every <see cref="Attack"/> in turn, beside a pair that chats, against a server with its
/// own defaults and as few descriptors as many containers give. The pair is refused nothing, waits hardly longer than in peace, and the
/// server's memory stays what it was. The long run: <c>SECONDS=10 dotnet test -c Release --filter NeighbourBattery</c>; with
/// <c>ATTACK=inbox</c> it runs the attacks with that in their names.
/// </summary>
[Trait("Category", Battery.Category)]
public sealed class NeighbourBattery(ITestOutputHelper output)
{
    /// <summary>Files and sockets that the server may have open.</summary>
    public const int Descriptors = 1024;

    /// <summary>
    /// Resident memory: how much more it may be during an attack, and some seconds afterwards. A heap that was used once keeps its youngest
    /// generation, which is as large as the processor's cache.
    /// </summary>
    private const long Growth = 100 << 20, Rest = 80 << 20;

    /// <summary>A short run has one server for all attacks, on a busy machine: what they leave is collected later.</summary>
    private const long Later = 80 << 20;

    /// <summary>The newest messages of an attacker with a large inbox are large: six times this in JSON, with its escapes.</summary>
    private const int LargeText = 65_000;

    /// <summary>So many seconds that each attack is a run of its own, with a server of its own, and latencies mean something.</summary>
    private static readonly TimeSpan Long = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan WarmUp = TimeSpan.FromSeconds(1), Peace = TimeSpan.FromSeconds(2), Recovery = TimeSpan.FromSeconds(10);

    private readonly Jwt _issuer = new();
    private readonly TimeSpan _time = Battery.Part(TimeSpan.FromSeconds(0.4));

    private bool IsLong => _time >= Long;

    [Fact]
    public async Task I8_Whatever_one_user_or_one_stranger_does_a_pair_beside_them_goes_on_chatting()
    {
        using var folder = new TempFolder();
        var picked = Environment.GetEnvironmentVariable("ATTACK") ?? "";
        Attack[] attacks = IsLong || picked.Length > 0
            ? [.. Attack.All.Where(attack => attack.Name.Contains(picked, StringComparison.Ordinal))]
            : [.. Attack.All.Where((_, index) => index % 4 == 0)]; // a short run has time for every fourth
        output.WriteLine($"{_time.TotalSeconds:F1} s each; {Cores.Description}.");
        output.WriteLine(Row.Head);

        var failed = new List<string>();
        ChatProcess? server = null;
        Experience? peace = null;
        foreach (var attack in attacks)
        {
            if (server is null)
            {
                var path = folder.File($"{attack.User}.db");
                await FillAsync(path, IsLong ? [attack] : attacks[Array.IndexOf(attacks, attack)..]);
                server = await StartAsync(path);
                peace = await PeaceAsync(server);
                output.WriteLine(new Row("(nobody)", peace, 0, 0, 0, "", []).ToString());
            }

            var row = await TryAsync(server, attack, peace!);
            output.WriteLine(row.ToString());
            if (row.Faults.Count > 0)
                failed.Add($"{attack}: {string.Join("; ", row.Faults)}");
            if (IsLong || row.Faults.Count > 0) // what one attack has left behind is not the next one's
            {
                await server.DisposeAsync();
                server = null;
            }
        }

        if (server is not null)
            await server.DisposeAsync();
        Assert.True(failed.Count == 0, $"{failed.Count} attacks harm others:\n{string.Join('\n', failed)}");
    }

    /// <summary>What the pair goes through while nobody attacks.</summary>
    private async Task<Experience> PeaceAsync(ChatProcess server)
    {
        using var pair = new Bystanders(server.Url, _issuer, between: WarmUp);
        await Task.Delay(WarmUp);
        var began = Stopwatch.GetTimestamp();
        await Task.Delay(Peace);
        var peace = await pair.BetweenAsync(began, Stopwatch.GetTimestamp());
        Assert.Empty(peace.Complaints);
        return peace;
    }

    private async Task<Row> TryAsync(ChatProcess server, Attack attack, Experience peace)
    {
        var (before, most) = (server.ResidentBytes, 0L);
        using var pair = new Bystanders(server.Url, _issuer, between: TimeSpan.FromSeconds(Math.Min(1, _time.TotalSeconds / 2)));
        var began = Stopwatch.GetTimestamp();
        var (ended, times, told) = (0L, 0L, "");
        using (var attacker = new Attacker(server.Url, _issuer, attack))
        {
            var attacking = Stopwatch.StartNew();
            using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
            while (attacking.Elapsed < _time && await tick.WaitForNextTickAsync())
                most = Math.Max(most, server.ResidentBytes);
            (ended, times, told) = (Stopwatch.GetTimestamp(), attacker.Times, attacker.Told);
        }

        var during = await pair.BetweenAsync(began, ended);

        // The pair goes on meanwhile: on a server with nothing to do nothing is collected either.
        var (growth, rest) = IsLong ? (Growth, Rest) : (Growth + Later, Rest + Later);
        var after = await AfterAsync(server, before + rest);
        return new Row(attack.ToString(), during, before, most, after, $"{times / _time.TotalSeconds:F0}/s; {told}", [.. Faults()]);

        IEnumerable<string> Faults()
        {
            if (server.IsOver)
                yield return $"the server is over: {string.Join(' ', server.Errors.Take(3))}";
            foreach (var complaint in during.Complaints.CountBy(complaint => complaint).Take(5))
                yield return $"{complaint.Value} times {complaint.Key}";
            if (IsTooSlow(during.Sent, peace.Sent) is { } sent)
                yield return $"sent {sent}";
            if (IsTooSlow(during.Pushed, peace.Pushed) is { } pushed)
                yield return $"pushed {pushed}";
            if (most > before + growth)
                yield return $"{(most - before) >> 20} MiB more";
            if (after > before + rest)
                yield return $"{(after - before) >> 20} MiB left";
        }
    }

    /// <summary>In a long run what must hold; in a short one, beside other tests, what a busy machine cannot be the cause of.</summary>
    private string? IsTooSlow(Latency during, Latency peace)
    {
        var p99 = IsLong ? Math.Max(5 * peace.P99, 50) : Math.Max(20 * peace.P99, 3000);
        var p50 = IsLong ? p99 : Math.Max(20 * peace.P50, 1500);
        return during.P99 > p99 || during.P50 > p50 ? $"{during}, at most {p50:F0} and {p99:F0}" : null;
    }

    /// <summary>Resident memory when it is at most so much again, or when nobody would wait any longer.</summary>
    private static async Task<long> AfterAsync(ChatProcess server, long atMost)
    {
        var waiting = Stopwatch.StartNew();
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        while (!server.IsOver && server.ResidentBytes > atMost && waiting.Elapsed < Recovery)
            await tick.WaitForNextTickAsync();
        return server.IsOver ? 0 : server.ResidentBytes;
    }

    /// <summary>With its own defaults. Everybody has a token, as in production.</summary>
    private async Task<ChatProcess> StartAsync(string path)
    {
        var server = new ChatProcess
        {
            DatabasePath = path,
            Environment = "Production",
            Under = OperatingSystem.IsWindows() ? [] : ["sh", "-c", $"ulimit -n {Descriptors}; exec \"$@\"", "sh"],
            ["Webhooks:AllowedHosts:0"] = "127.0.0.1",
            ["Webhooks:AllowedNetworks:0"] = "127.0.0.0/8",
        };
        server.Variables["DOTNET_TC_DelaySingleProcMultiplier"] = "1"; // on a single core .NET would put off its optimisations
        foreach (var (key, value) in _issuer.Settings)
            server[key] = value;
        Cores.StartServer(server.Launch);
        return await server.ListensAsync();
    }

    /// <summary>Makes a database in which much waits for those that attack a large inbox.</summary>
    private async Task FillAsync(string path, Attack[] attacks)
    {
        var (small, large) = IsLong ? (100_000, 200) : (2000, 20);
        await using var server = new ChatProcess { DatabasePath = path, ["Chat:MessagesPerSecond"] = "0" };
        await server.StartAsync();
        await using var friend = await ChatClient.ConnectAsync(server.Url, "friend");
        var escaped = new string('\u007f', LargeText);
        foreach (var attack in attacks.Where(attack => attack.HasInbox))
        {
            var sending = SendAsync(attack.User);
            for (var i = 0; i < small + large; i++)
                await friend.ExpectAsync("sent");
            await sending;
        }

        server.Terminate();
        Assert.Equal(0, await server.ExitAsync());

        async Task SendAsync(string user)
        {
            for (var i = 0; i < small; i++)
                await friend.SendAsync(user, "hi");
            for (var i = 0; i < large; i++)
                await friend.RawTextAsync($$"""{"to":"{{user}}","text":"{{escaped}}"}""");
        }
    }

    /// <summary>One attack.</summary>
    /// <param name="Name">Its name.</param>
    /// <param name="During">What the bystanders went through.</param>
    /// <param name="Before">Resident memory of the server, in bytes: before it,</param>
    /// <param name="Most">at its highest,</param>
    /// <param name="After">and some seconds after it.</param>
    /// <param name="Attacker">What the attacker did, and was told.</param>
    /// <param name="Faults">What must not be.</param>
    private sealed record Row(string Name, Experience During, long Before, long Most, long After, string Attacker, List<string> Faults)
    {
        public static string Head { get; } =
            Line("attack (connections)", "sent p50", "p99", "max", "pushed p50", "p99", "max", "asked", "MiB before/most/after", "");

        public override string ToString() => Line(
            Name, $"{During.Sent.P50:F1}", $"{During.Sent.P99:F1}", $"{During.Sent.Max:F0}",
            $"{During.Pushed.P50:F1}", $"{During.Pushed.P99:F1}", $"{During.Pushed.Max:F0}", $"{During.Asked.Max:F0}",
            $"{Before >> 20}/{Most >> 20}/{After >> 20}",
            $"{(Faults.Count == 0 ? "holds" : "FAILS: " + string.Join("; ", Faults))}  [{Attacker}]");

        private static string Line(
            string name, string sent, string sent99, string sentMax, string pushed, string pushed99, string pushedMax,
            string asked, string memory, string verdict) =>
            $"{name,-66}{sent,9}{sent99,8}{sentMax,7}{pushed,12}{pushed99,8}{pushedMax,7}{asked,7}{memory,23}  {verdict}";
    }
}
