using System.Globalization;
using Npgsql;
using SimpleChat.Settings;

namespace SimpleChat.ScaleOut;

/// <summary>Where PostgreSQL is, and how connections to it are opened.</summary>
/// <param name="Name">Host and database, for messages to the operator.</param>
/// <param name="Starter">The connection string of the start, which is patient.</param>
/// <param name="Writer">The connection string of the writer: one connection, which is not pooled.</param>
/// <param name="Reader">The connection string of readers, which are pooled.</param>
internal sealed record PostgresAddress(string Name, string Starter, string Writer, string Reader)
{
    /// <summary>
    /// How long a batch waits for the pen, in milliseconds. The pen is never held for longer than a commit takes, unless the disk stands.
    /// </summary>
    public const int LockTimeout = 2000;

    /// <summary>
    /// How long a batch may take in all, in milliseconds. A sender is told after <see cref="Storage.WriteQueue.Patience"/> in any case.
    /// </summary>
    public const int StatementTimeout = 4000;

    /// <summary>How long a read may take, in milliseconds. After that its caller is told that storage cannot be read.</summary>
    public const int ReadTimeout = 3000;

    /// <summary>Connections for reading, if <c>Maximum Pool Size</c> says nothing else. PostgreSQL allows 100 in all by default.</summary>
    private const int Readers = 16;

    /// <summary>
    /// For every statement there is an index. Before a table's statistics are there, the planner may believe it small and read all of it.
    /// So it is told not to, and one plan does for all values. A table of one row it reads whole all the same. It takes that for so costly
    /// that it would compile the statement, each time: a third of a second (https://www.postgresql.org/docs/15/jit-decision.html).
    /// </summary>
    private const string Plans =
        "-c jit=off -c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off";

    /// <summary>Reads <c>ConnectionStrings:Postgres</c>.</summary>
    /// <param name="connectionString">In Npgsql's form (https://www.npgsql.org/doc/connection-string-parameters.html).</param>
    /// <param name="node">The node's name.</param>
    /// <exception cref="StartException">It cannot be read.</exception>
    public static PostgresAddress Parse(string? connectionString, string node)
    {
        const string Example = "'Host=db.example.org;Database=chat;Username=chat;Password=…'";
        if (string.IsNullOrWhiteSpace(connectionString))
            throw new StartException($"ConnectionStrings:Postgres is missing; expected something like {Example}.");
        try
        {
            var settings = new NpgsqlConnectionStringBuilder(connectionString)
            {
                ApplicationName = $"SimpleChat {node}",
                Enlist = false,
                CancellationTimeout = -1, // a statement that took too long ends its connection: nothing more is waited for
                KeepAlive = 0,
                IncludeErrorDetail = false, // it would hold texts
            };
            settings.Pooling = false;
            var starter = settings.ConnectionString;
            if (settings.Timeout > 2)
                settings.Timeout = 2; // seconds to connect
            var options = string.Create(CultureInfo.InvariantCulture,
                $"{settings.Options} -c default_transaction_isolation=read\\ committed {Plans}");

            settings.CommandTimeout = 5; // seconds; the server's own limits come first
            settings.Options = string.Create(CultureInfo.InvariantCulture,
                $"{options} -c lock_timeout={LockTimeout} -c statement_timeout={StatementTimeout}");
            var writer = settings.ConnectionString;

            settings.Pooling = true;
            settings.CommandTimeout = 4;
            settings.MaxAutoPrepare = 32;
            settings.AutoPrepareMinUsages = 2;
            if (!connectionString.Contains("Pool Size", StringComparison.OrdinalIgnoreCase))
                settings.MaxPoolSize = Readers;
            settings.Options = string.Create(CultureInfo.InvariantCulture,
                $"{options} -c default_transaction_read_only=on -c statement_timeout={ReadTimeout}");
            return new PostgresAddress(
                $"{settings.Database} at {settings.Host}:{settings.Port}", starter, writer, settings.ConnectionString);
        }
        catch (ArgumentException e)
        {
            throw new StartException($"ConnectionStrings:Postgres cannot be read: {e.Message} Expected something like {Example}.", e);
        }
    }
}
