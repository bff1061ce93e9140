using Dapper;
using Microsoft.Data.Sqlite;
using SimpleChat.Settings;
using SimpleChat.Storage;
using SimpleChat.Wire;

namespace SimpleChat.Operations;

/// <summary>
/// <c>SimpleChat erase USER</c>: deletes every message that the user sent or received, delivered or not, and the user's webhook. They are
/// gone from the other side's history too. Their ids are never given out again. They are overwritten in their place
/// (https://sqlite.org/pragma.html#pragma_secure_delete), and the write-ahead log is emptied. SQLite may have moved a row before. Then a
/// copy may stay in the file's free space until that is used. A backup has no free space.
/// </summary>
internal static class Erasure
{
    /// <summary>Messages in one transaction: a running server waits some milliseconds for it, and then has its turn.</summary>
    private const int Few = 64;

    /// <summary>Between two transactions, so that a running server writes most of the time.</summary>
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(10);

    /// <summary>
    /// How many seconds a transaction waits for its turn. SQLite has no queue: it looks every 150 ms whether the database is free. A server
    /// under load leaves little time between two commits. Nobody waits for an erasure.
    /// </summary>
    private const int BusyTimeout = 60;

    /// <summary>Before the log is emptied again, if a reader was in the way.</summary>
    private static readonly TimeSpan ReaderPause = TimeSpan.FromMilliseconds(100);

    /// <returns>What to tell the operator.</returns>
    /// <exception cref="StartException">It is no user id, or the database is another version's.</exception>
    public static async Task<string> EraseAsync(DatabaseAddress address, string user)
    {
        if (!UserId.IsValid(user))
            throw new StartException($"'{user}' is no user id: it has 1 to {UserId.MaxLength} characters out of {UserId.Characters}.");
        using var connection = new SqliteConnection(address.Writer);
        connection.Open();
        if (connection.QuerySingle<long>("PRAGMA user_version") != Database.SchemaVersion)
            throw new StartException($"The database {address.Path} is another version's. Start this server on it first.");
        connection.DefaultTimeout = BusyTimeout;
        connection.Execute("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA secure_delete = ON");

        var erased = 0;
        while (Next(connection, user) is { Count: > 0 } ids)
        {
            using (var transaction = connection.BeginTransaction())
            {
                // The trigger MessageDB_Erased deletes what stands beside them.
                erased += connection.Execute("DELETE FROM MessageDB WHERE Id IN @ids", new { ids });
                connection.Execute("DELETE FROM MessageDB_ByUser WHERE User = @user AND MessageId IN @ids", new { user, ids });
                transaction.Commit();
            }

            await Task.Delay(Pause);
        }

        var webhooks = connection.Execute("DELETE FROM WebhookDB WHERE User = @user", new { user });
        var isInLog = !await TryEmptyLogAsync(connection);
        return FormattableString.Invariant($"Erased {erased} messages that {user} sent or received.")
            + (webhooks > 0 ? " A running server calls the user's webhook until it is restarted." : "")
            + (isInLog ? $" Somebody reads the database, so what was erased is in {address.Path}-wal until the log is emptied." : "");
    }

    /// <summary>The log still has the old pages.</summary>
    private static async Task<bool> TryEmptyLogAsync(SqliteConnection connection)
    {
        for (var tries = 0; tries < 10; tries++)
        {
            if (LogEraser.TryEmptyLog(connection))
                return true;
            await Task.Delay(ReaderPause);
        }

        return false;
    }

    /// <summary>The next few ids: first those that the index has, then those above its mark, which are few.</summary>
    private static List<long> Next(SqliteConnection connection, string user) => connection.Query<long>(
        """
        SELECT MessageId FROM (SELECT MessageId FROM MessageDB_ByUser WHERE User = @user LIMIT @Few)
        UNION
        SELECT Id FROM (
          SELECT Id FROM MessageDB WHERE Id > (SELECT UpTo FROM MessageDB_Indexed) AND @user IN (Sender, Recipient) LIMIT @Few)
        """, new { user, Few }).AsList();
}
