using Microsoft.Data.Sqlite;

namespace SimpleChat.Storage;

/// <summary>A connection of the chat's; see <see cref="Statement"/>, which tells it what fails.</summary>
/// <param name="connectionString">The file and how it is opened.</param>
/// <param name="failed">Called with what a statement threw, before it is thrown.</param>
internal sealed class DatabaseConnection(string connectionString, Action<SqliteException> failed) : SqliteConnection(connectionString)
{
    /// <summary>A statement on this connection failed.</summary>
    public void Failed(SqliteException e) => failed(e);
}
