using Microsoft.Data.Sqlite;
using SimpleChat.Wire;

namespace SimpleChat.Storage;

// Finds the users whom a user has talked with.
internal sealed partial class MessageReader
{
    /// <summary>
    /// How many of a user's indexed messages are searched for partners, newest first: that takes some milliseconds. The index of
    /// conversations gives the other partners. That takes longer the more users there are, however many messages they wrote.
    /// </summary>
    public const int RecentMessages = 1024;

    private IEnumerable<Conversation> Conversations(string user, long before)
    {
        const string Partner = "m.Id, iif(m.Sender = ?1, m.Recipient, m.Sender)";
        using var connection = database.OpenReader();
        using var snapshot = connection.BeginTransaction(deferred: true);
        using var last = new Statement(connection, $"SELECT {HistoryColumns} FROM MessageDB m WHERE m.Id = ?1");
        var known = new HashSet<string>(StringComparer.Ordinal);
        var indexedUpTo = IndexedUpTo(connection);
        var looked = 0;
        foreach (var row in Read(connection, user, with: null, 0, long.MaxValue, newestFirst: true, Partner))
        {
            var (id, partner) = (row.Int64(0), row.Text(1));
            if (known.Add(partner) && id < before)
                yield return new Conversation(partner, ReadOne(id));
            if (id <= indexedUpTo && ++looked == RecentMessages)
                break;
        }

        if (looked < RecentMessages)
            yield break; // the user has no more messages
        var others = ReadPartners(connection, user).Where(known.Add)
            .Select(partner => (Partner: partner, Last: LastIndexed(partner)))
            .Where(other => other.Last > 0 && other.Last < before)
            .OrderByDescending(other => other.Last);
        foreach (var (partner, id) in others)
            yield return new Conversation(partner, ReadOne(id));

        long LastIndexed(string partner) =>
            Read(connection, user, partner, 0, indexedUpTo, newestFirst: true, "m.Id").Select(row => row.Int64(0)).FirstOrDefault();

        HistoryMessage ReadOne(long id)
        {
            last.Bind(1, id).Read();
            var found = ReadHistoryMessage(last);
            last.Reset();
            return found;
        }
    }

    /// <summary>
    /// Reads each user once with whom the user has an indexed conversation. The query jumps from pair to pair, and does not read the whole
    /// index. The user is first in some pairs and second in others. To find the latter, the query looks up every user who sorts before.
    /// </summary>
    private static IEnumerable<string> ReadPartners(SqliteConnection connection, string user)
    {
        using var rows = new Statement(connection,
            """
            WITH RECURSIVE
            after(Name) AS (
              SELECT min(User2) FROM MessageDB_ByConversation WHERE User1 = ?1
              UNION ALL
              SELECT (SELECT min(User2) FROM MessageDB_ByConversation WHERE User1 = ?1 AND User2 > Name) FROM after WHERE Name IS NOT NULL),
            before(Name) AS (
              SELECT min(User1) FROM MessageDB_ByConversation WHERE User1 < ?1
              UNION ALL
              SELECT (SELECT min(User1) FROM MessageDB_ByConversation WHERE User1 > Name AND User1 < ?1) FROM before WHERE Name IS NOT NULL)
            SELECT Name FROM after WHERE Name IS NOT NULL
            UNION ALL
            SELECT Name FROM before WHERE EXISTS (SELECT 1 FROM MessageDB_ByConversation WHERE User1 = Name AND User2 = ?1)
            """);
        rows.Bind(1, user);
        while (rows.Read())
            yield return rows.Text(0);
    }
}
