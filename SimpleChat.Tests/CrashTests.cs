using System.Collections.Concurrent;
using System.Globalization;
using Microsoft.Data.Sqlite;
using Xunit.Abstractions;

namespace SimpleChat.Tests;

/// <summary>I1 against the one thing that cannot be argued with: kill -9, again and again, under load.</summary>
public sealed class CrashTests(ITestOutputHelper output)
{
    private const int Rounds = 25, Senders = 6;

    [Fact]
    public async Task I1_What_was_confirmed_survives_kill_minus_9_under_load_round_after_round()
    {
        var seed = int.Parse(Environment.GetEnvironmentVariable("SEED") ?? Random.Shared.Next().ToString(CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);
        output.WriteLine($"SEED={seed}");
        var random = new Random(seed);
        using var folder = new TempFolder();
        var senders = Enumerable.Range(0, Senders).Select(i => new Sender($"sender{i}")).ToArray();

        for (var round = 0; round < Rounds; round++)
        {
            await using var server = await new ChatProcess { DatabasePath = folder.DatabasePath, ["Chat:MessagesPerSecond"] = "0" }.StartAsync();
            var moment = new Countdown(random.Next(1, 400)); // in the middle of whatever is going on when so many more are confirmed
            var load = Task.WhenAll(senders.Select(sender => sender.SendUntilCutAsync(server.Url, moment)));
            await moment.Over.OrFail("confirmations");
            server.Kill();
            await load.OrFail("the end of all connections");
        }

        await using var last = await new ChatProcess { DatabasePath = folder.DatabasePath, ["Chat:MessagesPerSecond"] = "0" }.StartAsync();
        foreach (var sender in senders)
            await sender.FinishAsync(last.Url);

        var confirmed = senders.SelectMany(sender => sender.Confirmed).ToList();
        output.WriteLine($"{Rounds} kills, {confirmed.Count} messages confirmed");
        Assert.True(confirmed.Count > Rounds * Senders, "Hardly anything was confirmed: there was no load.");

        // Every confirmed message comes out, once, with the id it was confirmed with.
        await using var bob = await ChatClient.ConnectAsync(last.Url, "bob", "chat.ack");
        var received = await bob.MessagesAsync(confirmed.Count);
        Assert.Equal(confirmed.Select(entry => entry.Id).Order(), received.Select(message => message.Id));
        var texts = confirmed.ToDictionary(entry => entry.Id, entry => entry.Text);
        Assert.All(received, message => Assert.Equal(texts[message.Id], message.Body));
        Assert.All(senders, sender => Assert.Equal( // per sender in the order of sending, without a hole
            Enumerable.Range(0, sender.Confirmed.Count).Select(number => $"{sender.Name} {number}"),
            received.Where(message => message.From == sender.Name).Select(message => message.Body)));
        Assert.All(received.Zip(received.Skip(1)), pair => Assert.True(pair.First.SentAt <= pair.Second.SentAt));
        last.Terminate();
        Assert.Equal(0, await last.ExitAsync());

        using var database = new SqliteConnection($"Data Source={folder.DatabasePath};Pooling=False");
        database.Open();
        using var check = database.CreateCommand();
        check.CommandText = "PRAGMA integrity_check";
        Assert.Equal("ok", check.ExecuteScalar());
        check.CommandText = "SELECT (SELECT count(*) FROM MessageDB) || ' ' || (SELECT count(*) FROM InboxDB)";
        Assert.Equal($"{confirmed.Count} {confirmed.Count}", check.ExecuteScalar());
    }

    /// <summary>Over when it was signalled so many times.</summary>
    private sealed class Countdown(int count)
    {
        private readonly TaskCompletionSource _over = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private int _left = count;

        public Task Over => _over.Task;

        public void Signal()
        {
            if (Interlocked.Decrement(ref _left) == 0)
                _over.SetResult();
        }
    }

    /// <summary>Sends numbered messages, repeats after a crash what was not answered, and keeps its own record.</summary>
    private sealed class Sender(string name)
    {
        private readonly ConcurrentDictionary<int, long> _confirmed = new();
        private int _next;

        public string Name => name;

        public List<(long Id, string Text)> Confirmed => [.. _confirmed.OrderBy(entry => entry.Key).Select(entry => (entry.Value, $"{name} {entry.Key}"))];

        public async Task SendUntilCutAsync(Uri url, Countdown moment)
        {
            try
            {
                await using var client = await ChatClient.ConnectAsync(url, name);
                for (var number = _confirmed.Count; ; number++)
                {
                    await SendAsync(client, number);
                    _next = Math.Max(_next, number + 1);
                    if (number - _confirmed.Count < 8)
                        continue;
                    await TakeAnswerAsync(client);
                    moment.Signal();
                }
            }
            catch (Exception e) when (e is System.Net.WebSockets.WebSocketException or InvalidOperationException or IOException or HttpRequestException)
            {
                // The server was killed.
            }
        }

        public async Task FinishAsync(Uri url)
        {
            await using var client = await ChatClient.ConnectAsync(url, name);
            for (var number = _confirmed.Count; number < _next; number++)
            {
                await SendAsync(client, number);
                await TakeAnswerAsync(client);
            }
        }

        private Task SendAsync(ChatClient client, int number) => client.SendAsync("bob", $"{name} {number}", number.ToString(CultureInfo.InvariantCulture));

        private async Task TakeAnswerAsync(ChatClient client)
        {
            var sent = await client.FindAsync("sent");
            _confirmed[int.Parse(sent.ClientMessageId!, CultureInfo.InvariantCulture)] = sent.Id;
        }
    }
}
