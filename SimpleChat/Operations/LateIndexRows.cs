using Dapper;
using Microsoft.Data.Sqlite;

namespace SimpleChat.Operations;

/// <summary>
/// Index rows of messages that are gone. A running server indexes a message up to two lots later (<see cref="Storage.MessageIndex"/>), and
/// does not know that somebody else has erased it meanwhile. Nobody reads these rows, but they name the user. Only those up to the index's
/// mark are deleted: of these messages every row is there, so none comes later.
/// </summary>
internal static class LateIndexRows
{
    private const string IsLate =
        "MessageId <= (SELECT UpTo FROM MessageDB_Indexed) AND NOT EXISTS (SELECT 1 FROM MessageDB WHERE Id = MessageId)";

    /// <summary>Deletes them from the three indexes, the user's and those of whom the user talked with.</summary>
    /// <param name="connection">Its <c>secure_delete</c> is on.</param>
    /// <param name="user">Whose messages are gone.</param>
    /// <param name="few">Messages in one transaction.</param>
    /// <param name="pause">Between two transactions.</param>
    public static async Task DeleteAsync(SqliteConnection connection, string user, int few, TimeSpan pause)
    {
        // Read first: reading all of an index takes seconds, and holds up nobody.
        var pairs = connection.Query<Pair>(
            $"SELECT User1, User2, MessageId FROM MessageDB_ByConversation WHERE @user IN (User1, User2) AND {IsLate}",
            new { user }).AsList();
        var senders = pairs.SelectMany(pair => (string[])[pair.User1, pair.User2]).Append(user).Distinct();
        var names = senders.SelectMany(sender => connection.Query<Name>(
            $"SELECT Sender, ClientMessageId, MessageId FROM MessageDB_ByClientMessageId WHERE Sender = @sender AND {IsLate}",
            new { sender })).ToList();

        foreach (var lot in pairs.Chunk(few))
        {
            await DeleteAsync("DELETE FROM MessageDB_ByUser WHERE User IN (@User1, @User2) AND MessageId = @MessageId", lot);
            await DeleteAsync(
                "DELETE FROM MessageDB_ByConversation WHERE User1 = @User1 AND User2 = @User2 AND MessageId = @MessageId", lot);
        }

        foreach (var lot in names.Chunk(few))
        {
            await DeleteAsync(
                """
                DELETE FROM MessageDB_ByClientMessageId
                WHERE Sender = @Sender AND ClientMessageId = @ClientMessageId AND MessageId = @MessageId
                """, lot);
        }

        async Task DeleteAsync(string sql, Array rows)
        {
            using (var transaction = connection.BeginTransaction())
            {
                connection.Execute(sql, rows);
                transaction.Commit();
            }

            await Task.Delay(pause);
        }
    }

    private sealed record Pair(string User1, string User2, long MessageId);

    private sealed record Name(string Sender, string ClientMessageId, long MessageId);
}
