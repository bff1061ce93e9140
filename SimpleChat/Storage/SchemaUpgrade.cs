using Dapper;
using Microsoft.Data.Sqlite;
using SimpleChat.Storage.Files;

namespace SimpleChat.Storage;

/// <summary>
/// Brings a database of an older schema version up to date, in the transaction of the start that applies <c>chat.db.sql</c>: all of it or
/// nothing. A copy of the file as it was stays beside it, such as <c>chat.db.version1</c>. It is the way back to the older server.
/// </summary>
internal static class SchemaUpgrade
{
    /// <summary>
    /// From version 1 to 2. The first servers kept these indexes up with each message; tables that are filled later have replaced them.
    /// <c>chat.db.sql</c> makes the tables, and the writer fills them before it starts.
    /// </summary>
    private const string FromVersion1 =
        "DROP INDEX IF EXISTS MessageDB_Repeat; DROP INDEX IF EXISTS MessageDB_Sent; DROP INDEX IF EXISTS MessageDB_Received;";

    private const string WebhooksFromVersion1 = "ALTER TABLE WebhookDB ADD COLUMN SkippedUpTo INTEGER NOT NULL DEFAULT 0;";

    /// <summary>
    /// Copies a database of an older version, and returns the SQL that upgrades it. For a new database, and one that is up to date, it does
    /// nothing and returns an empty text.
    /// </summary>
    /// <exception cref="Settings.StartException">The copy cannot be made.</exception>
    public static string Prepare(SqliteConnection connection, string path)
    {
        var version = connection.QuerySingle<long>("PRAGMA user_version");
        if (version is 0 or Database.SchemaVersion)
            return "";
        var copy = $"{path}.version{version}";
        for (var i = 2; File.Exists(copy); i++)
            copy = $"{path}.version{version}-{i}"; // an earlier upgrade's, and somebody may still need it
        DatabaseCopy.Make(connection, copy);
        var webhookColumns = connection.Query<string>("SELECT name FROM pragma_table_info('WebhookDB')").ToList();
        return FromVersion1 + (webhookColumns.Count == 0 || webhookColumns.Contains("SkippedUpTo") ? "" : WebhooksFromVersion1);
    }
}
