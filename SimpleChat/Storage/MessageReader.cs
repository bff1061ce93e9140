using Microsoft.Data.Sqlite;
using SimpleChat.Wire;

namespace SimpleChat.Storage;

/// <summary>
/// All SQL that reads SQLite's MessageDB and InboxDB. Reads are short, and complete at once. The caller must wait for nothing while one is
/// open: the write-ahead log grows meanwhile.
/// </summary>
internal sealed partial class MessageReader(Database database) : IMessageReader
{
    /// <summary>The columns that <see cref="ReadMessage"/> expects.</summary>
    private const string Columns = "m.Id, m.Sender, m.Recipient, m.Text, m.SentAt";

    private const string Delivered = "NOT EXISTS (SELECT 1 FROM InboxDB WHERE Recipient = m.Recipient AND MessageId = m.Id)";

    /// <summary>The columns that <see cref="ReadHistoryMessage"/> expects.</summary>
    private const string HistoryColumns = $"{Columns}, {Delivered}";

    public IAsyncEnumerable<Message> ReadInbox(string user, long after, long upTo) => Inbox(user, after, upTo).ToAsyncEnumerable();

    public IAsyncEnumerable<Message> ReadConcerning(string user, long after, long upTo) =>
        Concerning(user, after, upTo).ToAsyncEnumerable();

    public IAsyncEnumerable<HistoryMessage> ReadHistory(string user, string? with, long? after, long before, long since) =>
        History(user, with, after, before, since).ToAsyncEnumerable();

    public IAsyncEnumerable<Conversation> ReadConversations(string user, long before) => Conversations(user, before).ToAsyncEnumerable();

    private IEnumerable<Message> Inbox(string user, long after, long upTo)
    {
        using var connection = database.OpenReader();
        using var rows = new Statement(connection,
            $"""
            SELECT {Columns} FROM InboxDB i CROSS JOIN MessageDB m ON m.Id = i.MessageId
            WHERE i.Recipient = ?1 AND i.MessageId > ?2 AND i.MessageId <= ?3 ORDER BY i.MessageId
            """);
        rows.Bind(1, user).Bind(2, after).Bind(3, upTo);
        while (rows.Read())
            yield return ReadMessage(rows);
    }

    private IEnumerable<Message> Concerning(string user, long after, long upTo)
    {
        using var connection = database.OpenReader();
        using var snapshot = connection.BeginTransaction(deferred: true);
        foreach (var row in Read(connection, user, with: null, after, upTo, newestFirst: false, Columns))
            yield return ReadMessage(row);
    }

    private IEnumerable<HistoryMessage> History(string user, string? with, long? after, long before, long since)
    {
        using var connection = database.OpenReader();
        using var snapshot = connection.BeginTransaction(deferred: true);
        foreach (var row in Read(connection, user, with, after ?? 0, before - 1, newestFirst: after is null, HistoryColumns))
        {
            var found = ReadHistoryMessage(row);
            if (after is null && found.Message.SentAt < since)
                yield break; // sentAt never falls as ids rise, so all that follow are older
            yield return found;
        }
    }

    public ValueTask<bool> IsKnownAsync(string user, Position position)
    {
        using var connection = database.OpenReader();
        using var row = new Statement(connection, position.SentAt is null
            ? "SELECT 1 WHERE ?2 <= coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'MessageDB'), 0)"
            : "SELECT 1 FROM MessageDB WHERE Id = ?2 AND SentAt = ?3 AND (Sender = ?1 OR Recipient = ?1)");
        if (position.SentAt is { } sentAt)
            row.Bind(1, user).Bind(3, sentAt);
        return ValueTask.FromResult(row.Bind(2, position.Id).Exists());
    }

    public ValueTask<List<Receipt>> ReadReceiptsAsync(string user, long first, long last)
    {
        var receipts = new List<Receipt>();
        using var connection = database.OpenReader();
        using var snapshot = connection.BeginTransaction(deferred: true);
        foreach (var row in Read(connection, user, with: null, first - 1, last, newestFirst: false,
            $"m.Id, m.Sender, m.Recipient, {Delivered}"))
        {
            if (row.Text(1) == user && row.Int64(3) != 0)
                receipts.Add(new Receipt(row.Int64(0), user, row.Text(2)));
            if (receipts.Count == Page.Size)
                break;
        }

        return ValueTask.FromResult(receipts);
    }

    /// <summary>
    /// Reads what the user sent or received, in id order. If <paramref name="with"/> is given, it reads only that conversation. Up to the
    /// index's mark it uses an index; above it, it searches MessageDB itself. The caller has a transaction open, so that both parts see the
    /// same moment.
    /// </summary>
    private static IEnumerable<Statement> Read(
        SqliteConnection connection, string user, string? with, long after, long upTo, bool newestFirst, string columns)
    {
        var (user1, user2) = MessageIndex.Pair(user, with ?? user);
        var (index, key, concerns) = with is null
            ? ("MessageDB_ByUser", "i.User = ?1", "(m.Sender = ?1 OR m.Recipient = ?1)")
            : ("MessageDB_ByConversation", "i.User1 = ?1 AND i.User2 = ?2",
                "(m.Sender = ?1 AND m.Recipient = ?2 OR m.Sender = ?2 AND m.Recipient = ?1)");
        var order = newestFirst ? "DESC" : "ASC";
        var indexedUpTo = IndexedUpTo(connection);

        var indexed = (Sql: $"""
            SELECT {columns} FROM {index} i CROSS JOIN MessageDB m ON m.Id = i.MessageId
            WHERE {key} AND i.MessageId > ?3 AND i.MessageId <= ?4 ORDER BY i.MessageId {order}
            """, After: after, UpTo: Math.Min(upTo, indexedUpTo));
        var recent = (Sql: $"SELECT {columns} FROM MessageDB m WHERE m.Id > ?3 AND m.Id <= ?4 AND {concerns} ORDER BY m.Id {order}",
            After: Math.Max(after, indexedUpTo), UpTo: upTo);
        foreach (var part in newestFirst ? new[] { recent, indexed } : [indexed, recent])
        {
            if (part.After >= part.UpTo)
                continue;
            using var rows = new Statement(connection, part.Sql);
            rows.Bind(1, user1).Bind(2, user2).Bind(3, part.After).Bind(4, part.UpTo);
            while (rows.Read())
                yield return rows;
        }
    }

    /// <summary>Reads the mark: up to this id the indexes over MessageDB are complete.</summary>
    private static long IndexedUpTo(SqliteConnection connection)
    {
        using var mark = new Statement(connection, "SELECT UpTo FROM MessageDB_Indexed");
        return mark.Read() ? mark.Int64(0) : 0;
    }

    private static HistoryMessage ReadHistoryMessage(Statement row) => new(ReadMessage(row), row.Int64(5) != 0);

    private static Message ReadMessage(Statement row) => new(row.Int64(0), row.Text(1), row.Text(2), row.Utf8(3).ToArray(), row.Int64(4));
}
