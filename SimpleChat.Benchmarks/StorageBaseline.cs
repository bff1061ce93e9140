using Microsoft.Data.Sqlite;

namespace SimpleChat.Benchmarks;

/// <summary>
/// The storage baseline: the same rows in and out of the same two tables with the same durability, in one process with no network, no index
/// but the primary keys and no reader. Each commit takes <see cref="Batch"/> messages in, and as many older ones out of the inbox.
/// </summary>
internal static class StorageBaseline
{
    private const int Batch = 512, Users = 200, SingleCommits = 200;

    public static void Measure(Run run)
    {
        const string what = "storage baseline, no network";
        var rounds = run.Rounds(what, () => Round(run));
        run.Storage = run.Report.Add(new Line(
            "baseline-storage",
            what,
            "messages/s",
            [.. rounds.Select(round => round.PerSecond)],
            Note: $"MessageDB and InboxDB rows in, InboxDB rows out, {Batch} messages in a commit, synchronous=FULL; " +
                $"a commit of one alone takes {Line.MedianOf(rounds.Select(round => round.SingleMs)):0.00} ms")).Median;
    }

    private static (double PerSecond, double SingleMs) Round(Run run)
    {
        using var connection = new SqliteConnection($"Data Source={run.NewFile()};Pooling=False");
        connection.Open();
        Sql.Execute(connection, Sql.Schema());
        Sql.Execute(connection, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -65536");

        using var begin = Command("BEGIN IMMEDIATE");
        using var commit = Command("COMMIT");
        using var message = Command(
            "INSERT INTO MessageDB (Id, Sender, Recipient, Text, SentAt) VALUES ($id, $sender, $recipient, $text, $sentAt)");
        using var inbox = Command("INSERT INTO InboxDB (Recipient, MessageId, Sender) VALUES ($recipient, $id, $sender)");
        using var delivered = Command("DELETE FROM InboxDB WHERE Recipient = $recipient AND MessageId = $id");
        var names = Enumerable.Range(0, Users).Select(ChatUser.Name).ToArray();
        SqliteParameter Text(string name) => new(name, SqliteType.Text);
        SqliteParameter Integer(string name) => new(name, SqliteType.Integer);
        var (id, sender, recipient, text, sentAt) =
            (Integer("$id"), Text("$sender"), Text("$recipient"), Text("$text"), Integer("$sentAt"));
        message.Parameters.AddRange([id, sender, recipient, text, sentAt]);
        var (inboxId, inboxSender, inboxRecipient) = (Integer("$id"), Text("$sender"), Text("$recipient"));
        inbox.Parameters.AddRange([inboxRecipient, inboxId, inboxSender]);
        var (deliveredId, deliveredRecipient) = (Integer("$id"), Text("$recipient"));
        delivered.Parameters.AddRange([deliveredRecipient, deliveredId]);
        text.Value = new string('x', 100);

        var last = 0L;
        var start = Stopwatch.GetTimestamp();
        While(run.Options.Warmup);
        var (before, measured) = (last, Stopwatch.GetTimestamp());
        While(run.Options.Measured);
        var perSecond = (last - before) / Stopwatch.GetElapsedTime(measured).TotalSeconds;
        var singles = Stopwatch.GetTimestamp();
        for (var i = 0; i < SingleCommits; i++)
            CommitNext(1);
        var singleMs = Stopwatch.GetElapsedTime(singles).TotalMilliseconds / SingleCommits;
        Prove();
        return (perSecond, singleMs);

        void While(TimeSpan limit)
        {
            for (var began = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(began) < limit;)
                CommitNext(Batch);
        }

        void CommitNext(int count)
        {
            begin.ExecuteNonQuery();
            for (var next = last + 1; next <= last + count; next++)
            {
                var from = names[next % Users];
                var to = names[(next % Users) ^ 1];
                (id.Value, sender.Value, recipient.Value, sentAt.Value) = (next, from, to, start + next);
                message.ExecuteNonQuery();
                (inboxId.Value, inboxSender.Value, inboxRecipient.Value) = (next, from, to);
                inbox.ExecuteNonQuery();
                if (next <= Batch)
                    continue;
                (deliveredId.Value, deliveredRecipient.Value) = (next - Batch, names[((next - Batch) % Users) ^ 1]);
                if (delivered.ExecuteNonQuery() != 1)
                    throw new NotProvenException($"Inbox row {next - Batch} was not there to delete.");
            }

            commit.ExecuteNonQuery();
            last += count;
        }

        void Prove()
        {
            using var count = Command("SELECT (SELECT count(*) FROM MessageDB) * 10000 + (SELECT count(*) FROM InboxDB)");
            if ((long)count.ExecuteScalar()! != (last * 10000) + Batch)
                throw new NotProvenException("The storage baseline did not store what it was given.");
        }

        SqliteCommand Command(string sql)
        {
            var command = connection.CreateCommand();
            command.CommandText = sql;
            return command;
        }
    }
}
