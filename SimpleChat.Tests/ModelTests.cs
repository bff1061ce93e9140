using System.Globalization;
using SimpleChat.Tests.Batteries;
using Xunit.Abstractions;

namespace SimpleChat.Tests;

/// <summary>
/// Random sequences of what users do, against a model of the chat that fits on a page: lists in memory. After each step the server's
/// inboxes must be the model's, and at the end every connection must have got exactly the frames that the model says. Replay one with
/// <c>SEED=… dotnet test --filter ModelTests</c>, play many with <c>ROUNDS=1000</c>.
/// </summary>
public sealed class ModelTests(ITestOutputHelper output)
{
    private const int Steps = 30, Servers = 3;

    private static readonly int s_sequences = Battery.Rounds(120);

    [Fact]
    public async Task Whatever_users_do_in_whatever_order_the_server_does_what_the_model_does()
    {
        if (Environment.GetEnvironmentVariable("SEED") is { } replay)
        {
            await using var server = await NewServer().StartAsync();
            await RunAsync(server, int.Parse(replay, CultureInfo.InvariantCulture));
            return;
        }

        var first = Random.Shared.Next(1_000_000_000);
        await Task.WhenAll(Enumerable.Range(0, Servers).Select(async part =>
        {
            await using var server = await NewServer().StartAsync();
            for (var seed = first + part; seed < first + s_sequences; seed += Servers)
                await RunAsync(server, seed);
        }));
    }

    private static ChatServer NewServer() => new() { ["Chat:MessagesPerSecond"] = "0" };

    private async Task RunAsync(ChatServer server, int seed)
    {
        var world = new World(server, seed);
        try
        {
            for (var step = 0; step < Steps; step++)
                await world.StepAsync();
            await world.EndAsync();
        }
        catch
        {
            output.WriteLine($"SEED={seed}");
            foreach (var line in world.Story)
                output.WriteLine(line);
            throw;
        }
    }

    /// <summary>What the server should hold of one message.</summary>
    private sealed record Told(long Id, string From, string To, string Text, string? ClientMessageId)
    {
        public bool Delivered { get; set; }
    }

    /// <summary>An open connection, and what must have come over it.</summary>
    private sealed class Line(string user, bool acknowledges, ChatClient client)
    {
        public string User => user;

        public bool Acknowledges => acknowledges;

        public ChatClient Client => client;

        /// <summary>While it is stalled nothing is read from it; then everything must be there all the same.</summary>
        public bool Stalled { get; set; }

        public List<long> Messages { get; } = [];

        public HashSet<long> Receipts { get; } = [];

        public List<long> SeenMessages { get; } = [];

        public HashSet<long> SeenReceipts { get; } = [];

        public async Task<Frame> TakeAsync()
        {
            var frame = await client.ReceiveAsync();
            if (frame.Type == "message")
                SeenMessages.Add(frame.Id);
            else if (frame.Type == "delivered")
                SeenReceipts.Add(frame.Id);
            return frame;
        }
    }

    private sealed class World(ChatServer server, int seed)
    {
        private readonly Random _random = new(seed);
        private readonly string[] _users = [$"alice{seed}", $"bob{seed}", $"carol{seed}"];
        private readonly List<Told> _told = [];
        private readonly List<Line> _lines = [];
        private int _texts;

        public List<string> Story { get; } = [];

        public async Task StepAsync()
        {
            var user = _users[_random.Next(_users.Length)];
            var line = _lines.Count == 0 ? null : _lines[_random.Next(_lines.Count)];
            switch (_random.Next(100))
            {
                case < 20 when _lines.Count(other => other.User == user) < 3:
                    await ConnectAsync(user, acknowledges: _random.Next(2) == 0, resume: _random.Next(3) == 0);
                    break;
                case < 30 when line is not null:
                    await DisconnectAsync(line, abort: _random.Next(2) == 0);
                    break;
                case < 70:
                    await SendAsync(user, _users[_random.Next(_users.Length)], $"text {_texts++}",
                        _random.Next(2) == 0 ? $"name {_texts}" : null);
                    break;
                case < 80 when _told.Any(told => told.ClientMessageId is not null):
                    await RepeatAsync(changed: _random.Next(3) == 0);
                    break;
                case < 92:
                    await AckAsync(user);
                    break;
                case < 97 when line is not null:
                    Story.Add($"{line.User} {(line.Stalled ? "reads again" : "stops reading")}");
                    line.Stalled = !line.Stalled;
                    break;
                case < 98 when seed % 5 == 0:
                    await RestartAsync();
                    break;
                default:
                    await SendAsync(user, user, $"text {_texts++}", null);
                    break;
            }

            await SettleAsync();
        }

        /// <summary>One last message to everybody: nothing may be in front of it but what the model expects.</summary>
        public async Task EndAsync()
        {
            foreach (var line in _lines)
                line.Stalled = false;
            foreach (var user in _users)
                await SendAsync(user, user, "the end", null);
            await SettleAsync();
            foreach (var line in _lines.ToArray())
                await DisconnectAsync(line, abort: false);
        }

        private async Task ConnectAsync(string user, bool acknowledges, bool resume)
        {
            var known = _told.Where(told => told.From == user || told.To == user).Select(told => told.Id).ToList();
            long? after = resume ? known.Count == 0 ? 0 : known[_random.Next(known.Count)] : null;
            Story.Add($"{user} connects{(acknowledges ? " with chat.ack" : "")}{(after is null ? "" : $" after {after}")}");
            var line = new Line(user, acknowledges,
                await ChatClient.ConnectAsync(server.Url, user, acknowledges ? "chat.ack" : null, after));
            _lines.Add(line);
            var due = _told.Where(told => after is null
                ? told.To == user && !told.Delivered
                : told.Id > after && (told.From == user || told.To == user));
            foreach (var told in due.ToArray())
                Push(told, line);
        }

        private async Task DisconnectAsync(Line line, bool abort)
        {
            Story.Add($"{line.User} {(abort ? "is cut off" : "closes")}");
            _lines.Remove(line);
            await using var client = line.Client;
            if (abort)
                client.Abort();
            else
                await client.CloseAsync();
            var others = _lines.Count(other => other.User == line.User);
            if (others == 0)
                await Deadline.UntilAsync(async () => !await Http(line.User).SeesOnlineAsync(line.User), $"{line.User} being offline");
        }

        private async Task SendAsync(string from, string to, string text, string? name)
        {
            Story.Add($"{from} sends \"{text}\" to {to}{(name is null ? "" : $" as {name}")}");
            var line = _lines.Where(line => line.User == from && !line.Stalled).OrderBy(_ => _random.Next()).FirstOrDefault();
            long id;
            if (line is null || _random.Next(3) == 0)
            {
                line = null;
                var answer = await Http(from).SendAsync(to, text, name);
                Assert.Equal(201, answer.Status);
                id = answer.Json.Id;
            }
            else
            {
                await line.Client.SendAsync(to, text, name);
                id = (await AnswerAsync(line)).Id;
            }

            Assert.True(_told.Count == 0 || id > _told[^1].Id);
            var told = new Told(id, from, to, text, name);
            _told.Add(told);
            foreach (var other in _lines.Where(other => other.User == to || other.User == from && other != line).ToArray())
                Push(told, other);
        }

        private async Task RepeatAsync(bool changed)
        {
            var named = _told.Where(told => told.ClientMessageId is not null).ToList();
            var first = named[_random.Next(named.Count)];
            var text = changed ? first.Text + "!" : first.Text;
            Story.Add($"{first.From} repeats {first.ClientMessageId}{(changed ? " with another text" : "")}");
            var line = _lines.FirstOrDefault(line => line.User == first.From && !line.Stalled);
            if (line is null)
            {
                var answer = await Http(first.From).SendAsync(first.To, text, first.ClientMessageId);
                if (changed)
                    answer.AssertProblem(409, "client_message_id_reused");
                else
                    Assert.Equal((200, first.Id), (answer.Status, answer.Json.Id));
            }
            else
            {
                await line.Client.SendAsync(first.To, text, first.ClientMessageId);
                var answer = await AnswerAsync(line);
                Assert.Equal(first.ClientMessageId, answer.ClientMessageId);
                if (changed)
                    Assert.Equal("client_message_id_reused", answer.Code);
                else
                    Assert.Equal(first.Id, answer.Id);
            }
        }

        private async Task AckAsync(string user)
        {
            // Other users' too: those are no error and change nothing.
            var ids = _told.Where(_ => _random.Next(2) == 0).Select(told => told.Id).ToArray();
            Story.Add($"{user} acknowledges {string.Join(' ', ids)}");
            var line = _lines.FirstOrDefault(line => line.User == user);
            if (line is null || _random.Next(2) == 0)
                Assert.Equal(204, (await Http(user).AckAsync(ids)).Status);
            else
                await line.Client.AckAsync(ids);
            foreach (var told in _told.Where(told => told.To == user && ids.Contains(told.Id)))
                Deliver(told);
        }

        private async Task RestartAsync()
        {
            Story.Add("the server is restarted");
            await server.StopAsync();
            foreach (var line in _lines)
                await line.Client.DisposeAsync();
            _lines.Clear();
            await server.StartAsync();
        }

        private void Push(Told told, Line line)
        {
            line.Messages.Add(told.Id);
            if (told.To == line.User && !line.Acknowledges)
                Deliver(told);
        }

        private void Deliver(Told told)
        {
            if (told.Delivered)
                return;
            told.Delivered = true;
            foreach (var line in _lines.Where(line => line.User == told.From))
                line.Receipts.Add(told.Id);
        }

        /// <summary>Waits until the inboxes and all connections that are read are as the model has them.</summary>
        private async Task SettleAsync()
        {
            foreach (var user in _users)
            {
                var inbox = _told.Where(told => told.To == user && !told.Delivered).Select(told => told.Id).ToList();
                await Deadline.UntilAsync(async () => (await Http(user).InboxAsync()).Select(message => message.Id).SequenceEqual(inbox),
                    $"inbox of {user}: {string.Join(' ', inbox)}");
            }

            foreach (var line in _lines.Where(line => !line.Stalled))
            {
                while (line.SeenMessages.Count < line.Messages.Count || !line.SeenReceipts.IsSupersetOf(line.Receipts))
                    await line.TakeAsync();
                Assert.Equal(line.Messages, line.SeenMessages);
                Assert.Subset(line.Receipts, line.SeenReceipts);
            }
        }

        /// <summary>The answer to a send; messages and receipts may come before it.</summary>
        private static async Task<Frame> AnswerAsync(Line line)
        {
            while (true)
            {
                if (await line.TakeAsync() is { Type: "sent" or "error" } answer)
                    return answer;
            }
        }

        private HttpUser Http(string user) => new(server.Http, user);
    }
}
