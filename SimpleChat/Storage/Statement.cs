using System.Buffers;
using System.Text;
using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace SimpleChat.Storage;

/// <summary>
/// A prepared statement of SQLite's C interface (https://sqlite.org/c3ref/stmt.html). Running one allocates nothing, while each run of a
/// SqliteCommand allocates several objects. Throws <see cref="SqliteException"/>, as SqliteCommand does.
/// </summary>
internal sealed class Statement : IDisposable
{
    private readonly SqliteConnection _connection;
    private readonly sqlite3_stmt _statement;

    public Statement(SqliteConnection connection, string sql)
    {
        _connection = connection;
        Require(raw.sqlite3_prepare_v3(connection.Handle, sql, raw.SQLITE_PREPARE_PERSISTENT, out _statement));
    }

    /// <summary>Sets parameter <paramref name="index"/>, counted from 1.</summary>
    public Statement Bind(int index, long value)
    {
        Require(raw.sqlite3_bind_int64(_statement, index, value));
        return this;
    }

    /// <summary>Sets parameter <paramref name="index"/>, counted from 1; SQLite keeps a copy.</summary>
    public Statement Bind(int index, string? value)
    {
        if (value is null)
        {
            Require(raw.sqlite3_bind_null(_statement, index));
            return this;
        }

        var buffer = ArrayPool<byte>.Shared.Rent(Encoding.UTF8.GetMaxByteCount(value.Length));
        Bind(index, buffer.AsSpan(0, Encoding.UTF8.GetBytes(value, buffer)));
        ArrayPool<byte>.Shared.Return(buffer);
        return this;
    }

    /// <summary>Sets parameter <paramref name="index"/>, counted from 1, to a text that is UTF-8 already; SQLite keeps a copy.</summary>
    public Statement Bind(int index, ReadOnlySpan<byte> utf8)
    {
        Require(raw.sqlite3_bind_text(_statement, index, utf8));
        return this;
    }

    /// <summary>Runs it, and ignores any rows.</summary>
    public void Run()
    {
        var result = raw.sqlite3_step(_statement);
        raw.sqlite3_reset(_statement);
        if (result is not (raw.SQLITE_DONE or raw.SQLITE_ROW))
            Require(result);
    }

    /// <summary>Runs it up to its next row. After the last row it can run again.</summary>
    /// <returns>Whether there is a row.</returns>
    public bool Read()
    {
        var result = raw.sqlite3_step(_statement);
        if (result == raw.SQLITE_ROW)
            return true;
        raw.sqlite3_reset(_statement);
        if (result != raw.SQLITE_DONE)
            Require(result);
        return false;
    }

    public bool Exists()
    {
        var exists = Read();
        Reset();
        return exists;
    }

    /// <summary>Ends a run before its last row, so that it can run again.</summary>
    public void Reset() => raw.sqlite3_reset(_statement);

    /// <summary>The number in a column of the row; columns are counted from 0.</summary>
    public long Int64(int column) => raw.sqlite3_column_int64(_statement, column);

    public string Text(int column) => Encoding.UTF8.GetString(Utf8(column));

    /// <summary>The text in a column of the row, as it is stored. The span is valid until the next step.</summary>
    public ReadOnlySpan<byte> Utf8(int column) => raw.sqlite3_column_blob(_statement, column);

    public void Dispose() => _statement.Dispose();

    private void Require(int result)
    {
        if (result == raw.SQLITE_OK)
            return;
        try
        {
            SqliteException.ThrowExceptionForRC(result, _connection.Handle);
        }
        catch (SqliteException e)
        {
            (_connection as DatabaseConnection)?.Failed(e);
            throw;
        }
    }
}

/// <summary>A connection to the database. A <see cref="Statement"/> reports its exception here before it throws it.</summary>
internal sealed class DatabaseConnection(string connectionString, Action<SqliteException> failed) : SqliteConnection(connectionString)
{
    public void Failed(SqliteException e) => failed(e);
}
