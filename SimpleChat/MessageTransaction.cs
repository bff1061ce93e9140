using Microsoft.Data.Sqlite;

namespace SimpleChat;

/// <summary>
/// The writing half of the SQL: the writer's connection with its statements, prepared once. Owned by the writer's thread, used by no other.
/// </summary>
internal sealed class MessageTransaction : IDisposable
{
    private readonly SqliteConnection _connection;
    private readonly SqliteCommand _begin, _commit, _rollback, _find, _insertMessage, _insertInbox, _remove, _removeRange, _touch;
    private long _lastSentAt;

    public MessageTransaction(ChatDatabase database)
    {
        _connection = database.OpenWriter();
        try
        {
            _begin = Prepare("BEGIN IMMEDIATE");
            _commit = Prepare("COMMIT");
            _rollback = Prepare("ROLLBACK");
            _find = Prepare("SELECT Id, Recipient, Text, SentAt FROM MessageDB WHERE Sender = $1 AND ClientMessageId = $2", 2);
            _insertMessage = Prepare("INSERT INTO MessageDB (Id, Sender, Recipient, Text, SentAt, ClientMessageId) VALUES ($1, $2, $3, $4, $5, $6)", 6);
            _insertInbox = Prepare("INSERT INTO InboxDB (Recipient, MessageId, Sender) VALUES ($1, $2, $3)", 3);
            _remove = Prepare("DELETE FROM InboxDB WHERE Recipient = $1 AND MessageId = $2 RETURNING Sender", 2);
            _removeRange = Prepare("DELETE FROM InboxDB WHERE Recipient = $1 AND MessageId > $2 AND MessageId <= $3 RETURNING MessageId, Sender", 3);
            _touch = Prepare($"PRAGMA user_version = {ChatDatabase.SchemaVersion}");
            ReadLast();
        }
        catch
        {
            _connection.Dispose();
            throw;
        }
    }

    /// <summary>The highest id given out: of the last commit, or within the open transaction.</summary>
    public long LastId { get; private set; }

    public void Begin() => _begin.ExecuteNonQuery();

    /// <summary>Returns when everything since <see cref="Begin"/> is on disk.</summary>
    public void Commit() => _commit.ExecuteNonQuery();

    /// <summary>Undoes everything since <see cref="Begin"/>, if SQLite did not already.</summary>
    public void Rollback()
    {
        if (SQLitePCL.raw.sqlite3_get_autocommit(_connection.Handle) == 0)
            _rollback.ExecuteNonQuery();
        ReadLast();
    }

    /// <summary>The message that <paramref name="sender"/> already sent under this clientMessageId, committed or earlier in this transaction.</summary>
    public Message? Find(string sender, string clientMessageId)
    {
        Bind(_find, sender, clientMessageId);
        using var row = _find.ExecuteReader();
        return row.Read() ? new Message(row.GetInt64(0), sender, row.GetString(1), row.GetString(2), row.GetInt64(3)) : null;
    }

    /// <summary>Adds the MessageDB row and its InboxDB row.</summary>
    /// <param name="draft">What was sent.</param>
    /// <param name="sentAt">When it was accepted, in milliseconds since 1970-01-01 UTC; an earlier time than the last message's becomes the last message's.</param>
    public Message Insert(Draft draft, long sentAt)
    {
        var message = new Message(LastId + 1, draft.From, draft.To, draft.Text, Math.Max(sentAt, _lastSentAt));
        Bind(_insertMessage, message.Id, message.From, message.To, message.Text, message.SentAt, draft.ClientMessageId ?? (object)DBNull.Value);
        _insertMessage.ExecuteNonQuery();
        Bind(_insertInbox, message.To, message.Id, message.From);
        _insertInbox.ExecuteNonQuery();
        (LastId, _lastSentAt) = (message.Id, message.SentAt);
        return message;
    }

    /// <summary>Takes one message out of the user's inbox; nothing happens if it is not there.</summary>
    public void Remove(string user, long id, List<Receipt> receipts)
    {
        Bind(_remove, user, id);
        using var row = _remove.ExecuteReader();
        while (row.Read())
            receipts.Add(new Receipt(id, row.GetString(0), user));
    }

    /// <summary>Takes the messages above <paramref name="after"/> up to <paramref name="upTo"/> out of the user's inbox.</summary>
    public void RemoveRange(string user, long after, long upTo, List<Receipt> receipts)
    {
        Bind(_removeRange, user, after, upTo);
        using var row = _removeRange.ExecuteReader();
        while (row.Read())
            receipts.Add(new Receipt(row.GetInt64(0), row.GetString(1), user));
    }

    /// <summary>The messages above <paramref name="id"/>, oldest first.</summary>
    public List<Message> ReadAfter(long id)
    {
        var messages = new List<Message>();
        using var select = Prepare("SELECT Id, Sender, Recipient, Text, SentAt FROM MessageDB WHERE Id > $1 ORDER BY Id", 1);
        Bind(select, id);
        using var row = select.ExecuteReader();
        while (row.Read())
            messages.Add(new Message(row.GetInt64(0), row.GetString(1), row.GetString(2), row.GetString(3), row.GetInt64(4)));
        return messages;
    }

    /// <summary>Executes a statement of the caller's own, with its values for $1, $2 and so on: for what is written seldom.</summary>
    public void Execute(string sql, params ReadOnlySpan<object> values)
    {
        using var command = Prepare(sql, values.Length);
        Bind(command, values);
        command.ExecuteNonQuery();
    }

    /// <summary>Moves the write-ahead log into the file and empties it.</summary>
    public void Checkpoint()
    {
        using var checkpoint = Prepare("PRAGMA wal_checkpoint(TRUNCATE)");
        checkpoint.ExecuteNonQuery();
    }

    /// <summary>Writes a page and changes nothing: its commit proves that the disk takes one.</summary>
    public void Touch() => _touch.ExecuteNonQuery();

    public void Dispose() => _connection.Dispose();

    private void ReadLast()
    {
        using var last = Prepare("SELECT seq, (SELECT SentAt FROM MessageDB ORDER BY Id DESC LIMIT 1) FROM sqlite_sequence WHERE name = 'MessageDB'");
        using var row = last.ExecuteReader();
        (LastId, _lastSentAt) = row.Read() ? (row.GetInt64(0), row.IsDBNull(1) ? 0 : row.GetInt64(1)) : (0, 0);
    }

    private SqliteCommand Prepare(string sql, int parameters = 0)
    {
        var command = _connection.CreateCommand();
        command.CommandText = sql;
        for (var i = 1; i <= parameters; i++)
            command.Parameters.Add(new SqliteParameter { ParameterName = $"${i}" });
        command.Prepare();
        return command;
    }

    private static void Bind(SqliteCommand command, params ReadOnlySpan<object> values)
    {
        for (var i = 0; i < values.Length; i++)
            command.Parameters[i].Value = values[i];
    }
}
