using Npgsql;
using SimpleChat.Storage;
using SimpleChat.Wire;

namespace SimpleChat.ScaleOut;

/// <summary>All SQL that reads PostgreSQL. Each read has a connection of its own, out of a pool, while its rows are read.</summary>
internal sealed partial class PostgresReader(PostgresDatabase database) : IMessageReader, ITail
{
    /// <summary>The highest id that was ever given out.</summary>
    public const string LastId = "SELECT greatest((SELECT max(Id) FROM MessageDB), (SELECT Id FROM MessageDB_Erased))";

    /// <summary>Rows of history that are asked for at once. The page mostly ends there, or its bytes do.</summary>
    private const int HistoryChunk = 64;

    private const string Columns = "m.Id, m.Sender, m.Recipient, m.Text, m.SentAt";

    private const string Delivered = "NOT EXISTS (SELECT FROM InboxDB i WHERE i.Recipient = m.Recipient AND i.MessageId = m.Id)";

    public IAsyncEnumerable<Message> ReadInbox(string user, long after, long upTo) => ReadAsync(
        $"""
        SELECT {Columns} FROM InboxDB i JOIN LATERAL (SELECT * FROM MessageDB WHERE Id = i.MessageId) m ON true
        WHERE i.Recipient = $1 AND i.MessageId > $2 AND i.MessageId <= $3 ORDER BY i.MessageId LIMIT {Page.Size + 1}
        """, ReadMessage, user, after, upTo);

    public IAsyncEnumerable<Message> ReadConcerning(string user, long after, long upTo) => ReadAsync(
        $"SELECT {Columns} FROM ({Concerning(with: false, "m.Id > $2 AND m.Id <= $3", "ASC", Page.Size + 1)}) m",
        ReadMessage, user, after, upTo);

    public async IAsyncEnumerable<HistoryMessage> ReadHistory(string user, string? with, long? after, long before, long since)
    {
        var newestFirst = after is null;
        var sql = $"SELECT {Columns}, {Delivered} FROM (" +
            Concerning(with is not null, "m.Id > $2 AND m.Id < $3 AND m.SentAt >= $4", newestFirst ? "DESC" : "ASC", HistoryChunk) + ") m";
        var (low, high) = (after ?? 0, before);
        while (true)
        {
            var count = 0;
            object[] values = with is null
                ? [user, low, high, newestFirst ? since : long.MinValue]
                : [user, low, high, newestFirst ? since : long.MinValue, with];
            await foreach (var row in ReadAsync(sql, ReadHistoryMessage, values))
            {
                count++;
                yield return row;
                (low, high) = newestFirst ? (low, row.Message.Id) : (row.Message.Id, high);
            }

            if (count < HistoryChunk)
                yield break;
        }
    }

    public async ValueTask<bool> IsKnownAsync(string user, Position position) => position.SentAt is { } sentAt
        ? await FirstAsync(
            "SELECT 1 FROM MessageDB WHERE Id = $2 AND SentAt = $3 AND (Sender = $1 OR Recipient = $1)", row => true,
            user, position.Id, sentAt)
        : position.Id <= await FirstAsync(LastId, row => row.GetInt64(0));

    public ValueTask<List<Receipt>> ReadReceiptsAsync(string user, long first, long last) => ReadAsync(
        $"""
        SELECT m.Id, m.Recipient FROM MessageDB m
        WHERE m.Sender = $1 AND m.Id >= $2 AND m.Id <= $3 AND {Delivered} ORDER BY m.Id LIMIT {Page.Size}
        """, row => new Receipt(row.GetInt64(0), user, row.GetString(1)), user, first, last).ToListAsync();

    /// <summary>Whether all of these messages are there, as they were sent.</summary>
    public async ValueTask<bool> AreThereAsync(IReadOnlyCollection<Message> messages) => messages.Count == await FirstAsync(
        "SELECT count(*) FROM unnest($1, $2) AS u(Id, SentAt) JOIN MessageDB m ON m.Id = u.Id AND m.SentAt = u.SentAt",
        row => row.GetInt64(0),
        messages.Select(message => message.Id).ToArray(), messages.Select(message => message.SentAt).ToArray());

    public ValueTask<(long LastId, Snapshot Shown)> LookAsync() => FirstAsync(
        $"{LastId}, pg_current_snapshot()::text", row => (row.GetInt64(0), new Snapshot(row.GetString(1))));

    public async ValueTask<Page> ReadTailAsync(long after, long upTo, int limit)
    {
        var messages = await ReadAsync(
            $"SELECT {Columns} FROM MessageDB m WHERE m.Id > $1 AND m.Id <= $2 ORDER BY m.Id LIMIT $3", ReadMessage, after, upTo, limit)
            .ToListAsync();
        return new Page(messages, messages.Count < limit ? upTo : messages[^1].Id);
    }

    public async ValueTask<(List<long> Delivered, long UpTo)?> ReadOldAsync(long since, long after, int limit)
    {
        var old = await ReadAsync(
            $"""
            SELECT m.Id, {Delivered} FROM (SELECT * FROM MessageDB WHERE Id > $1 ORDER BY Id LIMIT $3) m WHERE m.SentAt < $2 ORDER BY m.Id
            """, row => (Id: row.GetInt64(0), IsDelivered: row.GetBoolean(1)), after, since, limit).ToListAsync();
        return old.Count == 0 ? null : ([.. old.Where(one => one.IsDelivered).Select(one => one.Id)], old[^1].Id);
    }

    public ValueTask<List<WebhookRow>> ReadWebhooksAsync() => ReadAsync(
        "SELECT \"User\", Url, Secret, SkippedUpTo FROM WebhookDB",
        row => new WebhookRow(row.GetString(0), row.GetString(1), row.GetString(2), row.GetInt64(3))).ToListAsync();

    public ValueTask<(long Count, long OldestId)> CountInboxAsync(string user, long upTo) => FirstAsync(
        """
        SELECT count(*), coalesce(min(m.Id), 0) FROM InboxDB i JOIN LATERAL (SELECT Id FROM MessageDB WHERE Id = i.MessageId) m ON true
        WHERE i.Recipient = $1 AND i.MessageId <= $2
        """, row => (row.GetInt64(0), row.GetInt64(1)), user, upTo);

    public async ValueTask ProbeAsync() => await FirstAsync("SELECT Text FROM MessageDB ORDER BY Id DESC LIMIT 1", row => true);

    /// <summary>
    /// What $1 sent, and what $1 received from others, each by its index and merged by id: with everybody, or with $5 alone.
    /// </summary>
    private static string Concerning(bool with, string range, string order, int limit)
    {
        var (sent, received) = with ? (" AND m.Recipient = $5", "m.Recipient = $1 AND m.Sender = $5") : ("", "m.Recipient = $1");
        return $"""
            (SELECT * FROM MessageDB m WHERE m.Sender = $1{sent} AND {range} ORDER BY m.Id {order} LIMIT {limit})
            UNION ALL
            (SELECT * FROM MessageDB m WHERE {received} AND m.Sender <> $1 AND {range} ORDER BY m.Id {order} LIMIT {limit})
            ORDER BY Id {order} LIMIT {limit}
            """;
    }

    private async IAsyncEnumerable<T> ReadAsync<T>(string sql, Func<NpgsqlDataReader, T> read, params object[] values)
    {
        await using var command = database.Readers.CreateCommand(sql);
        foreach (var value in values)
            command.Parameters.Add(new NpgsqlParameter { Value = value });
        await using var rows = await command.ExecuteReaderAsync();
        while (await rows.ReadAsync())
            yield return read(rows);
    }

    private async ValueTask<T?> FirstAsync<T>(string sql, Func<NpgsqlDataReader, T> read, params object[] values)
    {
        await foreach (var row in ReadAsync(sql, read, values))
            return row;
        return default;
    }

    private static Message ReadMessage(NpgsqlDataReader row) =>
        new(row.GetInt64(0), row.GetString(1), row.GetString(2), row.GetFieldValue<byte[]>(3), row.GetInt64(4));

    private static HistoryMessage ReadHistoryMessage(NpgsqlDataReader row) => new(ReadMessage(row), row.GetBoolean(5));
}
