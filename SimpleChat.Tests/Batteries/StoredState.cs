using Microsoft.Data.Sqlite;

namespace SimpleChat.Tests.Batteries;

/// <summary>A row of MessageDB.</summary>
internal sealed record StoredMessage(long Id, string From, string To, string Text, long SentAt, string? Name);

/// <summary>A row of InboxDB.</summary>
internal sealed record StoredInbox(string Recipient, long Id, string Sender);

/// <summary>What is in the database, read past the server.</summary>
/// <param name="Messages">MessageDB.</param>
/// <param name="Inbox">InboxDB.</param>
/// <param name="Integrity">What <c>PRAGMA integrity_check</c> says, and a look into the indexes: "ok" or what is wrong.</param>
internal sealed record StoredState(IReadOnlyList<StoredMessage> Messages, IReadOnlyList<StoredInbox> Inbox, string Integrity)
{
    /// <summary>Messages that an index lacks although it claims to be complete up to them.</summary>
    private const string Unindexed =
        """
        SELECT 'an index lacks message ' || m.Id FROM MessageDB m WHERE m.Id <= (SELECT UpTo FROM MessageDB_Indexed) AND NOT (
          EXISTS (SELECT 1 FROM MessageDB_ByUser WHERE User = m.Sender AND MessageId = m.Id)
          AND EXISTS (SELECT 1 FROM MessageDB_ByUser WHERE User = m.Recipient AND MessageId = m.Id)
          AND EXISTS (SELECT 1 FROM MessageDB_ByConversation
                      WHERE User1 = min(m.Sender, m.Recipient) AND User2 = max(m.Sender, m.Recipient) AND MessageId = m.Id)
          AND (m.ClientMessageId IS NULL OR EXISTS (SELECT 1 FROM MessageDB_ByClientMessageId
                      WHERE Sender = m.Sender AND ClientMessageId = m.ClientMessageId AND MessageId = m.Id)))
        LIMIT 10
        """;

    /// <summary>Reads all of it, in one snapshot.</summary>
    public static StoredState Read(string path)
    {
        using var connection = new SqliteConnection($"Data Source={path};Pooling=False");
        connection.Open();
        using var snapshot = connection.BeginTransaction(deferred: true);
        var messages = Rows(connection, "SELECT Id, Sender, Recipient, Text, SentAt, ClientMessageId FROM MessageDB ORDER BY Id", row =>
            new StoredMessage(
                row.GetInt64(0), row.GetString(1), row.GetString(2), row.GetString(3), row.GetInt64(4),
                row.IsDBNull(5) ? null : row.GetString(5)));
        var inbox = Rows(connection, "SELECT Recipient, MessageId, Sender FROM InboxDB", row =>
            new StoredInbox(row.GetString(0), row.GetInt64(1), row.GetString(2)));
        var integrity = Rows(connection, "PRAGMA integrity_check", row => row.GetString(0));
        integrity.AddRange(Rows(connection, Unindexed, row => row.GetString(0)));
        return new StoredState(messages, inbox, string.Join("; ", integrity));
    }

    private static List<T> Rows<T>(SqliteConnection connection, string sql, Func<SqliteDataReader, T> read)
    {
        using var select = connection.CreateCommand();
        select.CommandText = sql;
        using var row = select.ExecuteReader();
        var rows = new List<T>();
        while (row.Read())
            rows.Add(read(row));
        return rows;
    }
}
