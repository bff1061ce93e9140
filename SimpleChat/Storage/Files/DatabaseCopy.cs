using Dapper;
using Microsoft.Data.Sqlite;
using SimpleChat.Settings;
using SQLitePCL;

namespace SimpleChat.Storage.Files;

/// <summary>
/// Writes a sound copy of a database, also while a server uses it (<c>VACUUM INTO</c>, https://sqlite.org/lang_vacuum.html#vacuuminto). It
/// has everything that was committed at one moment, and nothing later. A plain <c>cp</c> of the file would miss what is in its log.
/// </summary>
internal static class DatabaseCopy
{
    /// <summary>
    /// Copies the database. The copy is its owner's alone, and on disk when this returns. It gets its name at the end, so that what a
    /// killed process leaves is not taken for a copy.
    /// </summary>
    /// <param name="source">A connection to the database, outside of a transaction.</param>
    /// <param name="target">The copy's path. Nothing may be there.</param>
    /// <exception cref="StartException">The copy could not be made; the message says why.</exception>
    public static void Make(SqliteConnection source, string target)
    {
        if (File.Exists(target) || Directory.Exists(target))
            throw new StartException($"{target} is there already. Choose another name, or move it away.");
        var unfinished = target + ".unfinished";
        try
        {
            File.Delete(unfinished);
            using (var file = new FileStream(unfinished, DatabaseFile.ForOwnerAlone(FileMode.CreateNew, FileShare.ReadWrite)))
            {
                source.Execute("VACUUM INTO @unfinished", new { unfinished }, commandTimeout: 0);
                file.Flush(flushToDisk: true); // SQLite leaves that to us
            }

            File.Move(unfinished, target, overwrite: false);
            if (OperatingSystem.IsLinux())
                Linux.SyncFolder(Path.GetDirectoryName(Path.GetFullPath(target))!); // its name is on disk too
        }
        catch (Exception e) when (e is SqliteException or IOException or UnauthorizedAccessException)
        {
            Delete(unfinished);
            throw new StartException($"The copy {target} cannot be made: {Explain(e)}", e);
        }
    }

    private static string Explain(Exception e) =>
        e is SqliteException { SqliteErrorCode: raw.SQLITE_FULL } ? "the disk is full." : e.Message;

    private static void Delete(string unfinished)
    {
        try
        {
            File.Delete(unfinished);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // What is wrong is said already.
        }
    }
}
