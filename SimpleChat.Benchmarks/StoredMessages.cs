using Microsoft.Data.Sqlite;

namespace SimpleChat.Benchmarks;

/// <summary>
/// A database as the server would have left it after many delivered messages, written much faster: rows first, indexes afterwards.
/// Half of what each of the <see cref="Users"/> writes goes to one friend, the rest to acquaintances; the draw is the same each time.
/// </summary>
internal static class StoredMessages
{
    public const int Users = 200;

    private const int Acquaintances = 20, Seed = 20261124;

    /// <summary>The friend of <paramref name="user"/>: the same one that it writes to in the throughput measurement.</summary>
    public static string Friend(int user) => ChatUser.Name(user ^ 1);

    /// <summary>
    /// One of those whom <paramref name="user"/> writes to now and then, one message in <see cref="Acquaintances"/> times two.
    /// </summary>
    public static string Acquaintance(int user) => ChatUser.Name((user + (Acquaintances / 2)) % Users);

    /// <summary>Makes the file and returns its path.</summary>
    public static string Create(string path, long count)
    {
        Console.Error.WriteLine($"writing {count:N0} messages to start with");
        using var connection = new SqliteConnection($"Data Source={path};Pooling=False");
        connection.Open();
        Sql.Execute(connection, Sql.Schema());
        Sql.Execute(connection, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -262144");

        Sql.Execute(connection, "BEGIN");
        using (var insert = connection.CreateCommand())
        {
            insert.CommandText =
                "INSERT INTO MessageDB (Id, Sender, Recipient, Text, SentAt) VALUES ($id, $sender, $recipient, $text, $sentAt)";
            var (id, sender, recipient, text, sentAt) = (
                insert.Parameters.Add("$id", SqliteType.Integer),
                insert.Parameters.Add("$sender", SqliteType.Text), insert.Parameters.Add("$recipient", SqliteType.Text),
                insert.Parameters.Add("$text", SqliteType.Text), insert.Parameters.Add("$sentAt", SqliteType.Integer));
            var names = Enumerable.Range(0, Users).Select(ChatUser.Name).ToArray();
            text.Value = new string('x', 100);
            var random = new Random(Seed);
            var start = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds() - count - 1_000;
            for (var i = 1L; i <= count; i++)
            {
                var from = random.Next(Users);
                var to = random.Next(2) == 0 ? from ^ 1 : (from + 1 + random.Next(Acquaintances)) % Users;
                (id.Value, sender.Value, recipient.Value, sentAt.Value) = (i, names[from], names[to], start + i);
                insert.ExecuteNonQuery();
            }
        }

        Sql.Execute(connection,
            "INSERT INTO MessageDB_ByUser SELECT Sender, Id FROM MessageDB UNION ALL SELECT Recipient, Id FROM MessageDB ORDER BY 1, 2");
        Sql.Execute(connection,
            "INSERT INTO MessageDB_ByConversation " +
            "SELECT min(Sender, Recipient), max(Sender, Recipient), Id FROM MessageDB ORDER BY 1, 2, 3");
        Sql.Execute(connection, "UPDATE MessageDB_Indexed SET UpTo = (SELECT max(Id) FROM MessageDB)");
        Sql.Execute(connection, "COMMIT");
        using var file = new FileStream(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite);
        file.Flush(flushToDisk: true); // here and now, not while a server is measured
        return path;
    }
}
