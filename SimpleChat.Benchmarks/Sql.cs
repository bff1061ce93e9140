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

    /// <summary>Leaves the tables with nothing but their primary keys; returns what makes the indexes again.</summary>
    public static List<string> DropIndexes(SqliteConnection connection)
    {
        var indexes = new List<(string Name, string Sql)>();
        using (var command = connection.CreateCommand())
        {
            command.CommandText = "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL";
            using var reader = command.ExecuteReader();
            while (reader.Read())
                indexes.Add((reader.GetString(0), reader.GetString(1)));
        }

        foreach (var index in indexes)
            Execute(connection, $"DROP INDEX {index.Name}");
        return [.. indexes.Select(index => index.Sql)];
    }
}
