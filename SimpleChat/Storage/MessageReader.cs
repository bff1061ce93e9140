using Dapper;
using Microsoft.Data.Sqlite;
using SimpleChat.Wire;

namespace SimpleChat.Storage;

/// <summary>
/// All SQL that reads MessageDB and InboxDB. Methods that find many rows return them one by one, and the caller stops when its page is
/// full. The caller must wait for nothing meanwhile: the write-ahead log grows while a read is open. A message that was erased is skipped,
/// even if another table still names it. Every method throws <see cref="SqliteException"/> when storage fails.
/// </summary>
internal sealed partial class MessageReader(Database database)
{
    /// <summary>The most rows in a page of the inbox, or of catching up.</summary>
    public const int PageSize = 256;

    /// <summary>
    /// A page ends early when its texts reach this many bytes. That is enough for a burst of large messages. And it is little to hold for a
    /// client that reads nothing.
    /// </summary>
    public const int PageText = 128 * 1024;

    /// <summary>The columns that <see cref="ReadMessage"/> expects.</summary>
    private const string Columns = "m.Id, m.Sender, m.Recipient, m.Text, m.SentAt";

    /// <summary>The columns that <see cref="ReadHistoryMessage"/> expects.</summary>
    private const string HistoryColumns =
        $"{Columns}, NOT EXISTS (SELECT 1 FROM InboxDB WHERE Recipient = m.Recipient AND MessageId = m.Id)";

    /// <summary>
    /// Reads undelivered messages to the user, above <paramref name="after"/> up to <paramref name="upTo"/>, oldest first.
    /// </summary>
    public IEnumerable<Message> ReadInbox(string user, long after, long upTo)
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

    /// <summary>
    /// Reads what the user sent or received, delivered or not, above <paramref name="after"/> up to <paramref name="upTo"/>, oldest first.
    /// </summary>
    public IEnumerable<Message> ReadConcerning(string user, long after, long upTo)
    {
        using var connection = database.OpenReader();
        using var snapshot = connection.BeginTransaction(deferred: true);
        foreach (var row in Read(connection, user, with: null, after, upTo, newestFirst: false, Columns))
            yield return ReadMessage(row);
    }

    /// <summary>Reads the user's history: the newest messages first, or those above <paramref name="after"/>, oldest first.</summary>
    /// <param name="user">Who reads. The user sees only what that user sent or received.</param>
    /// <param name="with">The other side of the conversation, or null for all conversations.</param>
    /// <param name="after">Only above this id, from the oldest on; null to read from the newest on.</param>
    /// <param name="before">Only below this id.</param>
    /// <param name="since">Only messages sent at or after this time, in milliseconds since 1970-01-01 UTC. It has no effect if
    /// <paramref name="after"/> is given.</param>
    public IEnumerable<HistoryMessage> ReadHistory(string user, string? with, long? after, long before, long since)
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

    /// <summary>
    /// Finds a <see cref="Position"/>, which a client wrote, among the user's messages. The long form proves the message; the short form
    /// can only be checked for range.
    /// </summary>
    /// <param name="user">Whose messages.</param>
    /// <param name="position">What the client wrote, or null.</param>
    /// <param name="lastCommitted">The highest id that was given out.</param>
    /// <param name="after">The id; null without a position.</param>
    /// <returns>Why the position is refused, or null.</returns>
    public Refusal? Locate(string user, string? position, long lastCommitted, out long? after)
    {
        after = null;
        if (position is null)
            return null;
        if (!Position.TryParse(position, out var place))
            return Refusal.InvalidPosition;
        after = place.Id;
        try
        {
            var isKnown = place.SentAt is { } sentAt ? Holds(user, place.Id, sentAt) : place.Id <= lastCommitted;
            return isKnown ? null : Refusal.UnknownPosition;
        }
        catch (Exception e) when (StorageFault.Is(e))
        {
            return Refusal.StorageUnreadable;
        }
    }

    /// <summary>
    /// Reads receipts: the user's messages from <paramref name="first"/> to <paramref name="last"/> that have left their inbox. Returns one
    /// page; an empty page is the last.
    /// </summary>
    public List<Receipt> ReadReceipts(string user, long first, long last)
    {
        const string Waits = "EXISTS (SELECT 1 FROM InboxDB WHERE Recipient = m.Recipient AND MessageId = m.Id)";
        var receipts = new List<Receipt>();
        using var connection = database.OpenReader();
        using var snapshot = connection.BeginTransaction(deferred: true);
        foreach (var row in Read(connection, user, with: null, first - 1, last, newestFirst: false,
            $"m.Id, m.Sender, m.Recipient, {Waits}"))
        {
            if (row.Text(1) == user && row.Int64(3) == 0)
                receipts.Add(new Receipt(row.Int64(0), user, row.Text(2)));
            if (receipts.Count == PageSize)
                break;
        }

        return receipts;
    }

    /// <summary>Reads a row, to find out whether reads work.</summary>
    public void Probe()
    {
        using var connection = database.OpenReader();
        connection.ExecuteScalar("SELECT Text FROM MessageDB ORDER BY Id DESC LIMIT 1");
    }

    /// <summary>
    /// Reads the rows of MessageDB that the user sent or received, in id order. Up to the index's mark it uses an index; above it, it
    /// searches MessageDB itself. The caller has a transaction open, so that both parts see the same moment.
    /// </summary>
    /// <param name="connection">A reader's connection.</param>
    /// <param name="user">Who sent or received them.</param>
    /// <param name="with">The other side of the conversation, or null for all conversations.</param>
    /// <param name="after">Only above this id.</param>
    /// <param name="upTo">The highest id.</param>
    /// <param name="newestFirst">The order: ids falling if true, rising if false.</param>
    /// <param name="columns">The columns to select from <c>MessageDB m</c>.</param>
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

    /// <summary>Whether the user sent or received a message with this id, and it was sent at this time.</summary>
    private bool Holds(string user, long id, long sentAt)
    {
        using var connection = database.OpenReader();
        using var row = new Statement(connection,
            "SELECT 1 FROM MessageDB WHERE Id = ?2 AND SentAt = ?3 AND (Sender = ?1 OR Recipient = ?1)");
        return row.Bind(1, user).Bind(2, id).Bind(3, sentAt).Exists();
    }

    private static HistoryMessage ReadHistoryMessage(Statement row) => new(ReadMessage(row), row.Int64(5) != 0);

    private static Message ReadMessage(Statement row) => new(row.Int64(0), row.Text(1), row.Text(2), row.Utf8(3).ToArray(), row.Int64(4));
}
