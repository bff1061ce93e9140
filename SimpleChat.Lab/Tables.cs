using System.Globalization;
using Microsoft.Data.Sqlite;

namespace SimpleChat.Lab;

/// <summary>
/// MessageDB and InboxDB, seen from outside: over a connection that only reads, which asks whether somebody has committed
/// (<c>PRAGMA data_version</c>). Thread-safe.
/// </summary>
internal sealed class Tables : IDisposable
{
    /// <summary>How often it looks by itself. The cable looks too, before it notes what the server says.</summary>
    private static readonly TimeSpan Often = TimeSpan.FromMilliseconds(20);

    private readonly Lock _lock = new();
    private readonly Record _record;
    private readonly Dictionary<long, Row> _messages = [];
    private readonly ITimer _timer;
    private Dictionary<long, Row> _inbox = [];
    private SqliteConnection? _connection;
    private string? _folder;
    private long _version;

    /// <param name="record">The run.</param>
    /// <param name="time">The clock.</param>
    public Tables(Record record, TimeProvider time)
    {
        _record = record;
        _timer = time.CreateTimer(_ => Look(), null, Often, Often);
    }

    /// <summary>Looks at the database in this folder from now on.</summary>
    public void Open(string folder)
    {
        lock (_lock)
            _folder = folder;
    }

    /// <summary>Forgets the database, and what was in it.</summary>
    public void Close()
    {
        lock (_lock)
        {
            _connection?.Dispose();
            (_connection, _folder, _version) = (null, null, 0);
            _messages.Clear();
            _inbox.Clear();
        }
    }

    /// <summary>Notes what has come and gone, if anything has.</summary>
    public void Look()
    {
        lock (_lock)
        {
            try
            {
                _connection ??= _folder is null ? null : Find();
                if (_connection is null)
                    return;
                using var version = _connection.CreateCommand();
                version.CommandText = "PRAGMA data_version";
                var now = (long)version.ExecuteScalar()!;
                if (now != _version)
                {
                    Read();
                    _version = now;
                }
            }
            catch (SqliteException)
            {
                // The server makes its tables at this moment, or recovers them. Another look will see them.
            }
        }
    }

    public void Dispose()
    {
        _timer.Dispose();
        Close();
    }

    private SqliteConnection? Find()
    {
        if (Directory.GetFiles(_folder!, "*.db") is not [var file, ..])
            return null;
        var connection = new SqliteConnection($"Data Source={file};Mode=ReadOnly;Pooling=False;Default Timeout=1");
        connection.Open();
        return connection;
    }

    /// <summary>Reads both tables in one snapshot. Of MessageDB only what is new, unless something was erased.</summary>
    private void Read()
    {
        using var snapshot = _connection!.BeginTransaction(deferred: true);
        var last = _messages.Count == 0 ? 0 : _messages.Keys.Max();
        var added = Rows($"SELECT * FROM MessageDB WHERE Id > {last} ORDER BY Id");
        foreach (var row in added)
            _messages[row.Id] = row;
        Row[] gone = [];
        if (Rows("SELECT count(*) AS Id FROM MessageDB")[0].Id != _messages.Count)
        {
            var left = Rows("SELECT Id FROM MessageDB").Select(row => row.Id).ToHashSet();
            gone = [.. _messages.Values.Where(row => !left.Contains(row.Id))];
            foreach (var row in gone)
                _messages.Remove(row.Id);
        }

        Note("MessageDB", added, gone);
        var inbox = new Dictionary<long, Row>();
        if (Rows("SELECT count(*) AS Id FROM sqlite_master WHERE name = 'InboxDB'")[0].Id > 0)
        {
            inbox = Rows("SELECT MessageId AS Id, Sender, Recipient FROM InboxDB ORDER BY MessageId").ToDictionary(row => row.Id);
            Note("InboxDB", [.. inbox.Values.Where(row => !_inbox.ContainsKey(row.Id))],
                [.. _inbox.Values.Where(row => !inbox.ContainsKey(row.Id))]);
        }

        _inbox = inbox;
    }

    private void Note(string table, Row[] added, Row[] gone)
    {
        if (added.Length + gone.Length > 0)
            _record.Add(new RowsEntry(table, added, gone));
    }

    private Row[] Rows(string sql)
    {
        using var select = _connection!.CreateCommand();
        select.CommandText = sql;
        using var row = select.ExecuteReader();
        var columns = Enumerable.Range(0, row.FieldCount).ToDictionary(row.GetName);
        var rows = new List<Row>();
        while (row.Read())
        {
            rows.Add(new Row(
                row.GetInt64(columns["Id"]), Text("Sender"), Text("Recipient"), Line.Clip(Text("Text"), Line.MostText), SentAt(),
                Text("ClientMessageId")));
        }

        return [.. rows];

        // A step of the ladder has not got every column.
        string? Text(string name) => columns.TryGetValue(name, out var column) && !row.IsDBNull(column) ? row.GetString(column) : null;

        string? SentAt() => long.TryParse(Text("SentAt"), NumberStyles.None, CultureInfo.InvariantCulture, out var ms)
            ? DateTimeOffset.FromUnixTimeMilliseconds(ms).ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture)
            : Text("SentAt");
    }
}
