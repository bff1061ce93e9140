using System.Data.Common;
using Npgsql;

namespace SimpleChat.ScaleOut;

/// <summary>A fault of PostgreSQL, or of the way to it, in words for an operator.</summary>
internal sealed class PostgresFault(Exception cause) : DbException(Explain(cause), cause)
{
    /// <summary>Whether the same batch may succeed when it is repeated at once.</summary>
    public static bool MayPass(Exception e) => e is PostgresException
    {
        SqlState: PostgresErrorCodes.DeadlockDetected or PostgresErrorCodes.SerializationFailure or PostgresErrorCodes.UniqueViolation
    };

    /// <summary>Says in words what is wrong (https://www.postgresql.org/docs/current/errcodes-appendix.html).</summary>
    public static string Explain(Exception e) => e switch
    {
        PostgresFault => e.Message,
        PostgresException postgres => postgres.SqlState switch
        {
            PostgresErrorCodes.LockNotAvailable => "another node holds the pen, and PostgreSQL does not finish its commit.",
            PostgresErrorCodes.QueryCanceled => "PostgreSQL did not finish in time.",
            PostgresErrorCodes.DiskFull => "PostgreSQL's disk is full.",
            PostgresErrorCodes.ReadOnlySqlTransaction => "it is a standby, which cannot be written. Connect to the primary.",
            PostgresErrorCodes.InvalidCatalogName => "there is no such database; create it.",
            PostgresErrorCodes.TooManyConnections => "PostgreSQL has as many connections as it may have (max_connections).",
            PostgresErrorCodes.AdminShutdown or PostgresErrorCodes.CannotConnectNow or PostgresErrorCodes.CrashShutdown =>
                "PostgreSQL is stopping or starting.",
            _ => $"{postgres.MessageText} ({postgres.SqlState}).",
        },
        _ => $"{(e.InnerException ?? e).Message.ReplaceLineEndings(" ").TrimEnd('.')}.",
    };
}
