using Dapper;

namespace SimpleChat.Storage;

// Reads for retention, webhooks and health.
internal sealed partial class MessageReader
{
    public ValueTask<(List<long> Delivered, long UpTo)?> ReadOldAsync(long since, long after, int limit)
    {
        using var connection = database.OpenReader();
        using var rows = new Statement(connection,
            $"SELECT Id, SentAt, {Delivered} FROM MessageDB m WHERE Id > ?1 ORDER BY Id LIMIT ?2");
        var (upTo, delivered) = (after, new List<long>());
        rows.Bind(1, after).Bind(2, limit);
        while (rows.Read() && rows.Int64(1) < since)
        {
            upTo = rows.Int64(0);
            if (rows.Int64(2) != 0)
                delivered.Add(upTo);
        }

        rows.Reset();
        return ValueTask.FromResult<(List<long>, long)?>(upTo == after ? null : (delivered, upTo));
    }

    public ValueTask<List<WebhookRow>> ReadWebhooksAsync()
    {
        using var connection = database.OpenReader();
        return ValueTask.FromResult(connection.Query<WebhookRow>("SELECT User, Url, Secret, SkippedUpTo FROM WebhookDB").AsList());
    }

    public ValueTask<(long Count, long OldestId)> CountInboxAsync(string user, long upTo)
    {
        using var connection = database.OpenReader();
        return ValueTask.FromResult(connection.QuerySingle<(long, long)>(
            """
            SELECT count(*), coalesce(min(m.Id), 0) FROM InboxDB i CROSS JOIN MessageDB m ON m.Id = i.MessageId
            WHERE i.Recipient = @user AND i.MessageId <= @upTo
            """, new { user, upTo }));
    }

    public ValueTask ProbeAsync()
    {
        using var connection = database.OpenReader();
        connection.ExecuteScalar("SELECT Text FROM MessageDB ORDER BY Id DESC LIMIT 1");
        return ValueTask.CompletedTask;
    }
}
