using System.Data;
using Dapper;

namespace SimpleChat;

/// <summary>A message as history shows it.</summary>
/// <param name="Message">The message.</param>
/// <param name="Delivered">Whether it has left the inbox.</param>
internal readonly record struct HistoryMessage(Message Message, bool Delivered);

/// <summary>
/// The reading half of the SQL over MessageDB and InboxDB. Every read is a page, bounded in rows and in text, on a connection of its own that goes back
/// at once: a reader that stayed would keep the write-ahead log growing. Throws <see cref="Microsoft.Data.Sqlite.SqliteException"/> when storage fails.
/// </summary>
internal sealed class MessageStore(ChatDatabase database)
{
    /// <summary>Rows in a page of the inbox or of catching up.</summary>
    public const int PageSize = 256;

    /// <summary>A page ends early when its texts reach so many bytes.</summary>
    public const int PageText = 1024 * 1024;

    /// <summary>Up to here the indexes are complete; what is above is looked through.</summary>
    private const string Indexed = "(SELECT UpTo FROM MessageDB_Indexed)";

    private const string Columns = "m.Id, m.Sender AS [From], m.Recipient AS [To], CAST(m.Text AS BLOB) AS Text, m.SentAt";

    /// <summary>Undelivered messages to the user, above <paramref name="after"/> up to <paramref name="upTo"/>, oldest first.</summary>
    /// <returns>A page; it was the last one if <paramref name="more"/> is false.</returns>
    public List<Message> ReadInbox(string user, long after, long upTo, out bool more) => ReadPage(
        $"""
        SELECT {Columns}
        FROM InboxDB i JOIN MessageDB m ON m.Id = i.MessageId
        WHERE i.Recipient = @user AND i.MessageId > @after AND i.MessageId <= @upTo
        ORDER BY i.MessageId
        """, new { user, after, upTo }, out more);

    /// <summary>Everything that the user sent or received, delivered or not, above <paramref name="after"/> up to <paramref name="upTo"/>, oldest first.</summary>
    /// <returns>A page; it was the last one if <paramref name="more"/> is false.</returns>
    public List<Message> ReadConcerning(string user, long after, long upTo, out bool more) => ReadPage(
        $"""
        SELECT {Columns}
        FROM (SELECT MessageId FROM MessageDB_ByUser WHERE User = @user AND MessageId > @after AND MessageId <= @upTo
              UNION
              SELECT Id FROM MessageDB WHERE Id > max(@after, {Indexed}) AND Id <= @upTo AND (Sender = @user OR Recipient = @user)
              ORDER BY 1 LIMIT {PageSize + 1}) AS page
        JOIN MessageDB m ON m.Id = page.MessageId
        ORDER BY page.MessageId
        """, new { user, after, upTo }, out more);

    /// <summary>Receipts of the user's messages from <paramref name="first"/> to <paramref name="last"/> that have left their inbox: a page, and whether it was the last.</summary>
    public List<Receipt> ReadReceipts(string user, long first, long last)
    {
        using var connection = database.OpenReader();
        return [.. connection.Query<(long Id, string To)>(
            $"""
            SELECT m.Id, m.Recipient FROM MessageDB m
            WHERE m.Id BETWEEN @first AND @last AND m.Sender = @user
              AND NOT EXISTS (SELECT 1 FROM InboxDB i WHERE i.Recipient = m.Recipient AND i.MessageId = m.Id)
            ORDER BY m.Id LIMIT {PageSize}
            """, new { user, first, last }).Select(row => new Receipt(row.Id, user, row.To))];
    }

    /// <summary>A page of the user's history, oldest first.</summary>
    /// <param name="user">Who reads; sees only what that user sent or received.</param>
    /// <param name="with">The other side of the conversation, or null for all conversations.</param>
    /// <param name="after">Only above this id; if it is given the page is the oldest of those, otherwise the newest.</param>
    /// <param name="before">Only below this id.</param>
    /// <param name="since">Only what was sent at or after this time, in milliseconds since 1970-01-01 UTC.</param>
    /// <param name="limit">Rows at most.</param>
    /// <param name="more">Whether there is more in the direction of reading.</param>
    public List<HistoryMessage> ReadHistory(string user, string? with, long? after, long before, long since, int limit, out bool more)
    {
        using var connection = database.OpenReader();
        using var snapshot = connection.BeginTransaction(deferred: true);
        var lower = Math.Max(after ?? 0, FirstSince(connection, since) - 1);
        var order = after is null ? "DESC" : "ASC";
        var (user1, user2) = MessageIndex.Pair(user, with ?? user);
        var (indexed, concerns) = with is null
            ? ("SELECT MessageId FROM MessageDB_ByUser WHERE User = @user", "(Sender = @user OR Recipient = @user)")
            : ("SELECT MessageId FROM MessageDB_ByConversation WHERE User1 = @user1 AND User2 = @user2",
                "(Sender = @user AND Recipient = @with OR Sender = @with AND Recipient = @user)");
        var rows = connection.Query<HistoryRow>(
            $"""
            SELECT {Columns}, i.MessageId AS Waiting
            FROM ({indexed} AND MessageId > @lower AND MessageId < @before
                  UNION
                  SELECT Id FROM MessageDB WHERE Id > max(@lower, {Indexed}) AND Id < @before AND {concerns}
                  ORDER BY 1 {order} LIMIT @take) AS page
            JOIN MessageDB m ON m.Id = page.MessageId
            LEFT JOIN InboxDB i ON i.Recipient = m.Recipient AND i.MessageId = m.Id
            ORDER BY page.MessageId {order}
            """, new { user, with, user1, user2, lower, before, take = limit + 1 }).AsList();

        more = rows.Count > limit;
        if (more)
            rows.RemoveAt(limit);
        if (after is null)
            rows.Reverse();
        return rows.ConvertAll(row => new HistoryMessage(new Message(row.Id, row.From, row.To, row.Text, row.SentAt), row.Waiting is null));
    }

    /// <summary>Reads something, to see that it can be.</summary>
    public void Probe()
    {
        using var connection = database.OpenReader();
        connection.ExecuteScalar("SELECT Text FROM MessageDB ORDER BY Id DESC LIMIT 1");
    }

    /// <summary>The lowest id whose message is not older than <paramref name="since"/>: bisection, because sentAt never falls as ids rise. No index needed.</summary>
    private static long FirstSince(IDbConnection connection, long since)
    {
        // Never null: Dapper reads a column for ever as it came the first time.
        var (low, high) = connection.QuerySingle<(long, long)>("SELECT coalesce((SELECT min(Id) FROM MessageDB), 1), coalesce((SELECT max(Id) FROM MessageDB), 0) + 1");
        while (low < high)
        {
            var middle = low + (high - low) / 2;
            var sentAt = connection.QuerySingle<long>("SELECT SentAt FROM MessageDB WHERE Id >= @middle ORDER BY Id LIMIT 1", new { middle });
            (low, high) = sentAt < since ? (middle + 1, high) : (low, middle);
        }

        return low;
    }

    private List<Message> ReadPage(string sql, object parameters, out bool more)
    {
        var page = new List<Message>();
        var text = 0;
        more = true;
        using var connection = database.OpenReader();
        foreach (var message in connection.Query<Message>(sql, parameters, buffered: false))
        {
            if (page.Count == PageSize || text >= PageText)
                return page;
            page.Add(message);
            text += message.Text.Length;
        }

        more = false;
        return page;
    }

    /// <summary>Columns of tables, and no expression but a BLOB: Dapper must know their types before there is a row.</summary>
    private sealed record HistoryRow(long Id, string From, string To, byte[] Text, long SentAt, long? Waiting);
}
