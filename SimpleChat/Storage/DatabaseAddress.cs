using Microsoft.Data.Sqlite;
using SimpleChat.Settings;

namespace SimpleChat.Storage;

/// <summary>Where the database is, and the connection strings that open it.</summary>
/// <param name="Path">The file's full path, with links resolved.</param>
/// <param name="Reader">The connection string of readers: they cannot write, and are pooled.</param>
/// <param name="Writer">The connection string of the writer, which creates the file if it is new.</param>
internal sealed record DatabaseAddress(string Path, string Reader, string Writer)
{
    /// <summary>
    /// How long the writer waits for a stranger's lock (a <c>sqlite3</c> shell, a backup), in seconds. It is well below the 5 in which
    /// a sender is answered.
    /// </summary>
    public const int BusySeconds = 2;

    /// <summary>Reads <c>ConnectionStrings:Chat</c>.</summary>
    /// <exception cref="StartException">It names no file, or one that cannot be written.</exception>
    public static DatabaseAddress Parse(string? connectionString)
    {
        var settings = Read(connectionString);
        if (settings.DataSource is "" or ":memory:" || settings.DataSource.StartsWith("file:", StringComparison.Ordinal)
            || settings.Mode == SqliteOpenMode.Memory)
            throw new StartException(
                $"ConnectionStrings:Chat is '{connectionString}', which names no file; expected something like 'Data Source=chat.db'.");
        if (settings.Mode == SqliteOpenMode.ReadOnly)
            throw new StartException("ConnectionStrings:Chat has Mode=ReadOnly; the server must be able to write. Leave it out.");

        var file = new FileInfo(settings.DataSource);
        settings.DataSource = file.LinkTarget is null ? file.FullName : file.ResolveLinkTarget(returnFinalTarget: true)!.FullName;
        settings.DefaultTimeout = BusySeconds;

        settings.Mode = SqliteOpenMode.ReadWriteCreate;
        settings.Pooling = false;
        var writer = settings.ConnectionString;

        settings.Mode = SqliteOpenMode.ReadOnly;
        settings.Pooling = true;
        return new DatabaseAddress(settings.DataSource, settings.ConnectionString, writer);
    }

    private static SqliteConnectionStringBuilder Read(string? connectionString)
    {
        try
        {
            return new SqliteConnectionStringBuilder(connectionString);
        }
        catch (ArgumentException e)
        {
            throw new StartException(
                $"ConnectionStrings:Chat cannot be read: {e.Message} Expected something like 'Data Source=chat.db'.", e);
        }
    }
}
