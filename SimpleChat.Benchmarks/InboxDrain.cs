using System.Text;

namespace SimpleChat.Benchmarks;

/// <summary>
/// A user comes back to a full inbox: from the connect until the last message is there, and its ack has emptied the inbox.
/// The senders are gone by then, so that no receipts are written.
/// </summary>
internal static class InboxDrain
{
    private const int Senders = 50, PerSender = 2_000, Total = Senders * PerSender, Window = 16;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    public static void Measure(Run run)
    {
        var what = $"inbox drain, {Total:N0} messages, chat.ack";
        using var server = run.StartServer();
        var absent = Senders;
        var rounds = run.Rounds(what, () =>
        {
            absent++;
            var accounts = Store(server, absent);
            return Drain(server, absent, accounts);
        });
        var line = new Line(
            "drain",
            what,
            "messages/s",
            [.. rounds.Select(round => round.PerSecond)],
            Load: Load.Worst(rounds.Select(round => round.Load)),
            Note: "until the inbox is empty; another user's inbox each round, on one server");
        run.Report.Add(line.AtLeast(100_000));
    }

    private static Account[] Store(ServerProcess server, int absent)
    {
        using var crowd = Crowd.ToAbsent(server.Port, Senders, Window, absent);
        crowd.Start(PerSender);
        crowd.Verdict.WaitFor(() => crowd.Confirmed == Total, Patience, () => $"{crowd.Confirmed} of {Total} messages were stored.");
        return crowd.Accounts;
    }

    private static (double PerSecond, Load Load) Drain(ServerProcess server, int absent, Account[] accounts)
    {
        using var http = new HttpLine(server.Port);
        var inbox = $"/inbox?user={ChatUser.Name(absent)}";
        var verdict = new Verdict();
        var load = Load.Measure(server);
        var start = Stopwatch.GetTimestamp();
        using var reader = new AckingSocket(server.Port, ChatUser.Name(absent), accounts, verdict);
        reader.Open();
        verdict.WaitFor(() => reader.Received == Total, Patience, () => $"{reader.Received} of {Total} messages arrived.");
        verdict.WaitFor(() => http.Get(inbox).SequenceEqual("{\"messages\":[]}"u8), Patience,
            () => "not empty, though all of it was acked.");
        var seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        var used = load();
        foreach (var account in accounts)
            account.Prove(receipts: false);
        return (Total / seconds, used);
    }

    /// <summary>Takes what comes and acks it, all that one receive brought in one lot.</summary>
    private sealed class AckingSocket(int port, string user, Account[] accounts, Verdict verdict)
        : ClientSocket(port, user, "chat.ack", verdict, 64 * 1024)
    {
        private readonly StringBuilder _ids = new();
        private byte[] _ack = [];
        private long _lastId, _received;

        public long Received => Volatile.Read(ref _received);

        protected override void OnMessage(long id, ReadOnlySpan<byte> text)
        {
            if (id <= _lastId)
                throw new NotProvenException($"message {id} came after message {_lastId} on one connection");
            _lastId = id;
            var (sender, number, _) = SendFrame.Read(text);
            accounts[sender].Arrive(id, number, User);
            _ids.Append(_ids.Length == 0 ? "{\"type\":\"ack\",\"ids\":[" : ",").Append(id);
            Volatile.Write(ref _received, _received + 1);
        }

        protected override void OnBatch()
        {
            if (_ids.Length == 0)
                return;
            _ids.Append("]}");
            Array.Resize(ref _ack, Math.Max(_ack.Length, _ids.Length));
            var length = 0;
            foreach (var chunk in _ids.GetChunks())
                length += Encoding.ASCII.GetBytes(chunk.Span, _ack.AsSpan(length));
            _ids.Clear();
            Put(Wire.Text, _ack.AsSpan(0, length));
            Flush();
        }
    }
}
