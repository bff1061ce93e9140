using Dapper;
using Microsoft.Data.Sqlite;
using SimpleChat.Storage;
using SimpleChat.Storage.Files;

namespace SimpleChat.Operations;

/// <summary>
/// <c>SimpleChat backup FILE</c>: a copy with everything that was confirmed before it began. It only reads, so a running server goes on.
/// </summary>
internal static class Backup
{
    /// <returns>What to tell the operator.</returns>
    /// <exception cref="Settings.StartException">It cannot be made.</exception>
    public static string Make(DatabaseAddress address, string target)
    {
        using (var source = new SqliteConnection(address.Reader))
        {
            source.Open();
            DatabaseCopy.Make(source, target);
        }

        // What is in the copy, and not what is in the database by now.
        using var copy = new SqliteConnection($"Data Source={target};Mode=ReadOnly;Pooling=False");
        copy.Open();
        var (messages, waiting) = copy.QuerySingle<(long, long)>("SELECT (SELECT count(*) FROM MessageDB), (SELECT count(*) FROM InboxDB)");
        return FormattableString.Invariant($"{target} has {messages} messages, {waiting} of them undelivered.");
    }
}
