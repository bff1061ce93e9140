using System.Text;
using Npgsql;
using SimpleChat.Settings;
using SimpleChat.Storage;

namespace SimpleChat.ScaleOut;

/// <summary>
/// The PostgreSQL database that all nodes share. At the start the node checks that a commit is durable, and creates the schema
/// (<c>chat.postgres.sql</c>) if it is missing.
/// </summary>
internal sealed class PostgresDatabase : IDatabase, IAsyncDisposable
{
    /// <summary>The schema this node reads and writes.</summary>
    public const int SchemaVersion = 2;

    private readonly PostgresAddress _address;
    private readonly CommitChain _chain;
    private readonly Deliveries _deliveries;
    private readonly NpgsqlDataSource _readers;

    /// <exception cref="StartException"><c>ConnectionStrings:Postgres</c> cannot be read.</exception>
    public PostgresDatabase(IConfiguration configuration, ScaleOutOptions options, CommitChain chain, Deliveries deliveries)
    {
        _address = PostgresAddress.Parse(configuration.GetConnectionString("Postgres"), options.Node);
        (_chain, _deliveries) = (chain, deliveries);
        _readers = NpgsqlDataSource.Create(_address.Reader);
    }

    /// <summary>Connections for reading, out of a pool. Each sees the last commit.</summary>
    public NpgsqlDataSource Readers => _readers;

    public ITransaction Open()
    {
        try
        {
            using var connection = new NpgsqlConnection(_address.Starter);
            connection.Open();
            RequireDurable(connection);
            ApplySchema(connection);
            var transaction = new PostgresTransaction(OpenWriter(), _chain, _deliveries);
            _chain.StartAt(transaction.LastId);
            return transaction;
        }
        catch (Exception e) when (e is not StartException)
        {
            throw new StartException($"{Name} cannot be used: {PostgresFault.Explain(e)}", e);
        }
    }

    public ITransaction Reopen() => new PostgresTransaction(OpenWriter(), _chain, _deliveries);

    /// <summary>Nothing can be wrong that the next batch would not find.</summary>
    public void RequireSound()
    {
    }

    public ValueTask DisposeAsync() => _readers.DisposeAsync();

    /// <summary>Opens a connection that is held for long, and not pooled. It may write.</summary>
    public NpgsqlConnection OpenWriter()
    {
        var connection = new NpgsqlConnection(_address.Writer);
        try
        {
            connection.Open();
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    /// <summary>Checks that what PostgreSQL confirms survives a power cut, as SQLite's <c>synchronous=FULL</c> does.</summary>
    private void RequireDurable(NpgsqlConnection connection)
    {
        if (Read<bool>(connection, "SELECT pg_is_in_recovery()"))
            throw new StartException($"{Name} is a standby, which cannot be written. Connect to the primary.");
        foreach (var setting in (string[])["fsync", "full_page_writes", "synchronous_commit"])
        {
            if (Read<string>(connection, $"SELECT current_setting('{setting}')") == "off")
                throw new StartException($"{Name} has {setting}=off, so that confirmed messages may be lost. Set {setting}=on.");
        }

        if (Read<string>(connection, "SELECT current_setting('server_encoding')") is not "UTF8" and var encoding)
            throw new StartException($"{Name} has encoding {encoding}; create it with encoding UTF8.");
    }

    /// <summary>
    /// Creates the schema in one transaction, or brings it up to this node's version. Nodes that start at once take turns.
    /// </summary>
    private void ApplySchema(NpgsqlConnection connection)
    {
        using var transaction = connection.BeginTransaction();
        Execute(connection, "SELECT pg_advisory_xact_lock(5081)");
        using var stream = typeof(PostgresDatabase).Assembly.GetManifestResourceStream("chat.postgres.sql")!;
        using var reader = new StreamReader(stream, Encoding.UTF8);
        var schema = reader.ReadToEnd();
        if (Read<bool>(connection, "SELECT to_regclass('MessageDB_Schema') IS NULL"))
            Execute(connection, schema);
        var version = Read<int>(connection, "SELECT max(Version) FROM MessageDB_Schema");
        if (version == 1) // the procedure, which is the last of the script, returned less
        {
            Execute(connection, $"DROP PROCEDURE chat_append; {schema[schema.IndexOf("CREATE PROCEDURE", StringComparison.Ordinal)..]}");
            Execute(connection, $"UPDATE MessageDB_Schema SET Version = {version = SchemaVersion}");
        }

        if (version != SchemaVersion)
            throw new StartException(
                $"{Name} has schema version {version}, and this node knows version {SchemaVersion}. " +
                "Start a node of the matching release.");
        transaction.Commit();
    }

    private string Name => $"The PostgreSQL database {_address.Name}";

    private static T Read<T>(NpgsqlConnection connection, string sql)
    {
        using var command = new NpgsqlCommand(sql, connection);
        return (T)command.ExecuteScalar()!;
    }

    private static void Execute(NpgsqlConnection connection, string sql)
    {
        using var command = new NpgsqlCommand(sql, connection);
        command.ExecuteNonQuery();
    }
}
