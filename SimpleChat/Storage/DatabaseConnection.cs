using Microsoft.Data.Sqlite;

namespace SimpleChat.Storage;

/// <summary>A connection to the database. <see cref="Statement"/> reports its failures here.</summary>
/// <param name="connectionString">The file, and how to open it.</param>
/// <param name="failed">Called with a statement's exception before it is thrown.</param>
internal sealed class DatabaseConnection(string connectionString, Action<SqliteException> failed) : SqliteConnection(connectionString)
{
    /// <summary>Called when a statement on this connection failed.</summary>
    public void Failed(SqliteException e) => failed(e);
}
