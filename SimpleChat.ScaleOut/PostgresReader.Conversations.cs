using SimpleChat.Wire;

namespace SimpleChat.ScaleOut;

// Finds the users whom a user has talked with.
internal sealed partial class PostgresReader
{
    /// <summary>How many of a user's messages are searched for partners, newest first. An index gives the other partners.</summary>
    private const int RecentMessages = 1024;

    public async IAsyncEnumerable<Conversation> ReadConversations(string user, long before)
    {
        var known = new HashSet<string>(StringComparer.Ordinal);
        var recent = await ReadAsync(
            $"""
            SELECT m.Id, CASE WHEN m.Sender = $1 THEN m.Recipient ELSE m.Sender END
            FROM ({Concerning(with: false, "m.Id > 0", "DESC", RecentMessages)}) m
            """, row => (Id: row.GetInt64(0), Partner: row.GetString(1)), user).ToListAsync();
        foreach (var (id, partner) in recent)
        {
            if (known.Add(partner) && id < before && await ReadOneAsync(id) is { } last)
                yield return new Conversation(partner, last);
        }

        if (recent.Count < RecentMessages)
            yield break; // the user has no more messages
        var others = new List<(string Partner, long Last)>();
        foreach (var partner in (await ReadPartnersAsync(user)).Where(known.Add))
        {
            var last = await FirstAsync(
                $"SELECT m.Id FROM ({Concerning(with: true, "m.Id > $2 AND m.Id < $3 AND m.SentAt >= $4", "DESC", 1)}) m",
                row => row.GetInt64(0), user, 0L, long.MaxValue, long.MinValue, partner);
            if (last > 0 && last < before)
                others.Add((partner, last));
        }

        foreach (var (partner, id) in others.OrderByDescending(other => other.Last))
        {
            if (await ReadOneAsync(id) is { } last)
                yield return new Conversation(partner, last);
        }
    }

    /// <summary>
    /// Reads each user once to whom the user has written, and then each who has written to the user. The query jumps from name to name. To
    /// find the latter it looks up every user who has written at all.
    /// </summary>
    private ValueTask<List<string>> ReadPartnersAsync(string user) => ReadAsync(
        """
        WITH RECURSIVE
        written(Name) AS (
          SELECT (SELECT min(Recipient) FROM MessageDB WHERE Sender = $1)
          UNION ALL
          SELECT (SELECT min(Recipient) FROM MessageDB WHERE Sender = $1 AND Recipient > Name) FROM written WHERE Name IS NOT NULL),
        sender(Name) AS (
          SELECT (SELECT min(Sender) FROM MessageDB)
          UNION ALL
          SELECT (SELECT min(Sender) FROM MessageDB WHERE Sender > Name) FROM sender WHERE Name IS NOT NULL)
        SELECT Name FROM written WHERE Name IS NOT NULL
        UNION ALL
        SELECT Name FROM sender WHERE EXISTS (SELECT FROM MessageDB WHERE Sender = Name AND Recipient = $1)
        """, row => row.GetString(0), user).ToListAsync();

    private async ValueTask<HistoryMessage?> ReadOneAsync(long id)
    {
        await foreach (var row in ReadAsync($"SELECT {Columns}, {Delivered} FROM MessageDB m WHERE m.Id = $1", ReadHistoryMessage, id))
            return row;
        return null;
    }
}
