using System.Text;
using System.Text.RegularExpressions;
using Xunit.Abstractions;

namespace SimpleChat.Tests.Batteries;

/// <summary>
/// I1 against a power cut: what a server asked of the disk is traced, and the disk as it might have been at any moment is put together from
/// it. The long run: <c>ROUNDS=1000 dotnet test -c Release --filter PowerCutBattery</c>; a round is an image of a disk.
/// </summary>
[Trait("Category", Battery.Category)]
public sealed partial class PowerCutBattery(ITestOutputHelper output)
{
    private const int Senders = 4, Window = 8, Sector = 512; // the first sender comes over HTTP
    private const string Database = "chat.db", Log = "chat.db-wal";

    [StraceFact]
    public async Task I1_No_answer_and_no_push_leaves_before_its_commit_is_synced_and_whatever_a_power_cut_leaves_has_what_was_confirmed()
    {
        var random = new Random(Battery.Seed(output));
        var images = Battery.Rounds(60);
        var each = images <= 100 ? 60 : 250;
        var calls = await TraceAsync(CrashPoint.ManyCheckpoints, each);
        var (premature, departures) = Premature(calls);
        output.WriteLine($"{calls.Count} system calls, {departures} departures of answers and pushes, {premature} before their sync");
        Assert.Equal(0, premature);
        Assert.Equal(2 * Senders * each, departures);
        Assert.True(calls.Count(call => call is SyncEnds { File: Database }) > 3, "There was hardly a checkpoint.");

        var (missing, confirmed) = CutPower(calls, images, random);
        output.WriteLine($"{images} images of the disk, {confirmed} confirmed messages looked for in them, {missing} missing");
        Assert.Equal(0, missing);
    }

    /// <summary>The same with <c>synchronous=NORMAL</c>, which must not pass.</summary>
    [StraceFact]
    public async Task The_same_check_fails_when_synchronous_is_NORMAL()
    {
        var random = new Random(Battery.Seed(output));
        var calls = await TraceAsync("synchronous = NORMAL", each: 40);
        var (premature, departures) = Premature(calls);
        var (missing, confirmed) = CutPower(calls, 40, random);
        output.WriteLine($"{premature} of {departures} departures before their sync; {missing} of {confirmed} missing");
        Assert.True(premature > 0, "Nothing left before its sync.");
        Assert.True(missing > 0, "Nothing was missing.");
    }

    /// <summary>A server under load, traced from its start to its end, with a pragma of ours.</summary>
    private static async Task<List<SystemCall>> TraceAsync(string pragma, int each)
    {
        using var folder = new TempFolder();
        var trace = folder.File("trace");
        await using (var server = new ChatProcess
        {
            DatabasePath = folder.File(Database),
            ["Chat:MessagesPerSecond"] = "0",
            Under = [Strace.Command, "-D", "-f", "--seccomp-bpf", "-y", "-s", "1000000", "-o", trace, "-e", $"trace={SystemCalls.Traced}"],
        })
        {
            server.Variables["DOTNET_STARTUP_HOOKS"] = typeof(StartupHook).Assembly.Location;
            server.Variables[StartupHook.PragmaVariable] = pragma;
            await server.StartAsync();
            await using var bob = await ChatClient.ConnectAsync(server.Url, "bob", "chat.ack");
            var senders = Task.WhenAll(Enumerable.Range(1, Senders - 1).Select(sender => SendAsync(server.Url, sender, each))
                .Append(SendAsync(server.Http, each)));
            await bob.MessagesAsync(Senders * each);
            await senders;
            server.Terminate();
            Assert.Equal(0, await server.ExitAsync());
        }

        await Deadline.UntilAsync(async () => (await LastLineAsync(trace)).Contains("+++ exited", StringComparison.Ordinal),
            "the end of the trace");
        return SystemCalls.Read(trace);
    }

    private static async Task SendAsync(HttpClient http, int count)
    {
        var sender = new HttpUser(http, "sender0");
        for (var i = 0; i < count; i++)
            Assert.Equal(201, (await sender.SendAsync("bob", $"#0-{i}#", $"#0-{i}#")).Status);
    }

    private static async Task SendAsync(Uri url, int sender, int count)
    {
        await using var client = await ChatClient.ConnectAsync(url, $"sender{sender}");
        for (var i = 0; i < count + Window; i++)
        {
            if (i < count)
                await client.SendAsync("bob", $"#{sender}-{i}#", $"#{sender}-{i}#");
            if (i >= Window)
                await client.FindAsync("sent");
        }
    }

    private static async Task<string> LastLineAsync(string path)
    {
        await using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        file.Seek(-Math.Min(200, file.Length), SeekOrigin.End);
        using var reader = new StreamReader(file);
        return (await reader.ReadToEndAsync()).TrimEnd().Split('\n')[^1];
    }

    /// <summary>Counts what left although the sync after its batch's last write to the log was not done yet.</summary>
    private static (int Premature, int Departures) Premature(List<SystemCall> calls)
    {
        var written = new Dictionary<string, int>(); // token → when it came into the log
        var (begun, durable) = (0, 0); // calls before these were in the log when the sync began, and when it was done
        var (premature, departures) = (0, 0);
        for (var i = 0; i < calls.Count; i++)
        {
            switch (calls[i])
            {
                case FileWrite { File: Log } write:
                    foreach (Match token in Token().Matches(Encoding.Latin1.GetString(write.Data)))
                        written.TryAdd(token.Value, i);
                    break;
                case SyncBegins { File: Log }:
                    begun = i;
                    break;
                case SyncEnds { File: Log }:
                    durable = begun;
                    break;
                case Departure departure:
                    foreach (Match token in Token().Matches(departure.Text))
                    {
                        departures++;
                        if (!written.TryGetValue(token.Value, out var when) || when > durable)
                            premature++;
                    }

                    break;
            }
        }

        return (premature, departures);
    }

    /// <summary>
    /// Cuts the power just before and just after each sync begins and ends, then at random moments. What was synced is on disk; of what was
    /// not, each write is there whole, torn or not at all, in any combination. Opens the file as the server does at start.
    /// </summary>
    private static (int Missing, int Confirmed) CutPower(List<SystemCall> calls, int images, Random random)
    {
        var (missing, looked) = (0, 0);
        var first = calls.FindIndex(call => call is Departure departure && Token().IsMatch(departure.Text));
        var syncs = Enumerable.Range(first + 1, calls.Count - first - 1).Where(i => calls[i] is SyncBegins or SyncEnds)
            .SelectMany(i => (int[])[i, i + 1]).Distinct();
        var cuts = new Queue<int>(syncs.OrderBy(_ => random.Next())); // a short run takes some of them
        for (var image = 0; image < images; image++)
        {
            using var folder = new TempFolder();
            if (!cuts.TryDequeue(out var cut))
                cut = random.Next(first + 1, calls.Count + 1);
            foreach (var file in (string[])[Database, Log])
                Leave(calls, cut, file, folder.File(file), random);
            var departures = calls.Take(cut).OfType<Departure>();
            var confirmed = departures.SelectMany(departure => Token().Matches(departure.Text)).Select(token => token.Value).ToHashSet();
            looked += confirmed.Count;
            confirmed.ExceptWith(Stored(folder.File(Database)));
            missing += confirmed.Count;
        }

        return (missing, looked);
    }

    /// <summary>Writes a file as it might be after the power cut.</summary>
    private static void Leave(List<SystemCall> calls, int cut, string file, string path, Random random)
    {
        var (begun, synced) = (0, 0);
        for (var i = 0; i < cut; i++)
        {
            if (calls[i] is SyncBegins begins && begins.File == file)
                begun = i;
            else if (calls[i] is SyncEnds ends && ends.File == file)
                synced = begun;
        }

        using var image = new FileStream(path, FileMode.Create);
        for (var i = 0; i < cut; i++)
        {
            var chance = i < synced ? 0 : random.Next(3); // 0 whole, 1 torn, 2 not at all
            if (calls[i] is FileTruncate truncate && truncate.File == file && chance != 2)
                image.SetLength(truncate.Length);
            if (calls[i] is not FileWrite write || write.File != file || chance == 2)
                continue;
            for (var at = 0; at < write.Data.Length; at += Sector)
            {
                if (chance == 1 && random.Next(2) == 0)
                    continue;
                image.Position = write.Offset + at;
                image.Write(write.Data.AsSpan(at, Math.Min(Sector, write.Data.Length - at)));
            }
        }
    }

    private static List<string> Stored(string path)
    {
        using var database = new Database($"Data Source={path}");
        database.Open().Dispose();
        var state = StoredState.Read(path);
        Assert.Equal("ok", state.Integrity);
        Assert.Equal(state.Messages.Select(message => message.Id), state.Inbox.Select(row => row.Id).Order());
        return [.. state.Messages.Select(message => message.Text)];
    }

    [GeneratedRegex(@"#\d-\d+#")]
    private static partial Regex Token();
}
