using SQLitePCL;

namespace SimpleChat.Storage;

// Changes of WebhookDB, and other rare writes.
internal sealed partial class Transaction
{
    public void Put(WebhookRow row)
    {
        DeleteWebhook(row.User, only: null);
        ExecuteSecretly("INSERT INTO WebhookDB (User, Url, Secret) VALUES (?1, ?2, ?3)", row.User, row.Url, row.Secret);
    }

    public void DeleteWebhook(string user, WebhookRow? only) => _hasErased |= only is null
        ? ExecuteSecretly("DELETE FROM WebhookDB WHERE User = ?1", user)
        : ExecuteSecretly("DELETE FROM WebhookDB WHERE User = ?1 AND Url = ?2 AND Secret = ?3", user, only.Url, only.Secret);

    public void SkipWebhook(WebhookRow row, long upTo) => ExecuteSecretly(
        FormattableString.Invariant(
            $"""
            UPDATE WebhookDB SET SkippedUpTo = {upTo}
            WHERE User = ?1 AND Url = ?2 AND Secret = ?3 AND SkippedUpTo = {row.SkippedUpTo}
            """), row.User, row.Url, row.Secret);

    /// <summary>
    /// Overwrites in the file what it deletes, replaces or moves to another page, because that is a secret. The log still has it for a
    /// while.
    /// </summary>
    /// <returns>Whether there was such a row.</returns>
    private bool ExecuteSecretly(string sql, params ReadOnlySpan<string> values)
    {
        Execute("PRAGMA secure_delete = ON"); // https://sqlite.org/pragma.html#pragma_secure_delete
        Execute(sql, values);
        var isChanged = raw.sqlite3_changes(_connection.Handle) > 0;
        Execute("PRAGMA secure_delete = OFF"); // inbox rows are not secret, and are deleted faster without it
        return isChanged;
    }

    /// <summary>Runs a statement that is not prepared. The values are those of ?1, ?2 and so on.</summary>
    public void Execute(string sql, params ReadOnlySpan<string> values)
    {
        using var statement = new Statement(_connection, sql);
        for (var i = 0; i < values.Length; i++)
            statement.Bind(i + 1, values[i]);
        statement.Run();
    }
}
