using Microsoft.Data.Sqlite;

namespace SimpleChat.Benchmarks;

/// <summary>The server's schema, and what is done with it here.</summary>
internal static class Sql
{
    /// <summary><c>chat.db.sql</c>, the one that the server has too.</summary>
    public static string Schema()
    {
        using var stream = typeof(Sql).Assembly.GetManifestResourceStream("chat.db.sql")!;
        return new StreamReader(stream).ReadToEnd();
    }

    public static void Execute(SqliteConnection connection, string sql)
    {
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        command.CommandTimeout = 600;
        command.ExecuteNonQuery();
    }
}
