using Microsoft.Data.Sqlite;
using SimpleChat.Wire;
using SQLitePCL;

namespace SimpleChat.Storage;

/// <summary>All SQL that writes: the writer's connection to SQLite, and its statements, which are prepared once.</summary>
internal sealed partial class Transaction : ITransaction
{
    private readonly Database _database;
    private readonly SqliteConnection _connection;
    private readonly List<Statement> _statements = [];
    private readonly Statement _begin, _commit, _rollback, _find, _insertMessage, _insertInbox, _remove, _isInInbox, _erase, _last, _touch;
    private readonly MessageIndex _index;
    private long _lastSentAt;
    private bool _hasErased; // secrets, in the open transaction

    public Transaction(Database database)
    {
        _database = database;
        _connection = database.OpenWriter();
        try
        {
            _begin = Prepare("BEGIN IMMEDIATE");
            _commit = Prepare("COMMIT");
            _rollback = Prepare("ROLLBACK");
            _find = Prepare("SELECT Recipient, Text, SentAt FROM MessageDB WHERE Id = ?1");
            _insertMessage = Prepare(
                "INSERT INTO MessageDB (Id, Sender, Recipient, Text, SentAt, ClientMessageId) VALUES (?1, ?2, ?3, ?4, ?5, ?6)");
            _insertInbox = Prepare("INSERT INTO InboxDB (Recipient, MessageId, Sender) VALUES (?1, ?2, ?3)");
            _remove = Prepare("DELETE FROM InboxDB WHERE Recipient = ?1 AND MessageId BETWEEN ?2 AND ?3 RETURNING MessageId, Sender");
            _isInInbox = Prepare("SELECT 1 FROM InboxDB WHERE Recipient = ?1 AND MessageId = ?2");
            _erase = Prepare("DELETE FROM MessageDB WHERE Id = ?1");
            _last = Prepare(
                "SELECT seq, coalesce((SELECT SentAt FROM MessageDB ORDER BY Id DESC LIMIT 1), 0) " +
                "FROM sqlite_sequence WHERE name = 'MessageDB'");
            _touch = Prepare($"PRAGMA user_version = {Database.SchemaVersion}");
            _index = new MessageIndex(Prepare);
            ReadLast();
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The highest id given out, in the last commit or in the open transaction.</summary>
    public long LastId { get; private set; }

    public void Begin() => _begin.Run();

    /// <summary>Commits. When it returns, everything is on disk, in the file that a restart would open.</summary>
    public void Commit()
    {
        _index.Advance();
        _commit.Run();
        _database.RequireSound();
        _index.Committed();
        if (_hasErased)
            _database.EmptyLogSoon();
        _hasErased = false;
    }

    public void Rollback()
    {
        _rollback.Run();
        _hasErased = false;
        _index.RolledBack();
        ReadLast();
    }

    public bool IsStorageFault(Exception e) =>
        e is SqliteException { SqliteErrorCode: not (raw.SQLITE_CONSTRAINT or raw.SQLITE_TOOBIG or raw.SQLITE_MISMATCH) };

    public void Store(PendingMessage message)
    {
        var existing = message.Draft.ClientMessageId is { } name ? Find(message.Draft.From, name) : null;
        message.Became(existing ?? Insert(message.Draft), isRepeat: existing is not null);
    }

    /// <summary>
    /// Finds the message that <paramref name="sender"/> sent under this clientMessageId, committed or earlier in this transaction.
    /// </summary>
    public Message? Find(string sender, string clientMessageId)
    {
        if (_index.Find(sender, clientMessageId) is not { } id)
            return null;
        // If somebody deleted the row with another tool, its index entry may be left. Then the message counts as new.
        var message = _find.Bind(1, id).Read() ? new Message(id, sender, _find.Text(0), _find.Utf8(1).ToArray(), _find.Int64(2)) : null;
        _find.Reset();
        return message;
    }

    /// <summary>Adds the MessageDB row and its InboxDB row.</summary>
    public Message Insert(Draft draft)
    {
        var message = new Message(LastId + 1, draft.From, draft.To, draft.Text, Math.Max(draft.ReceivedAt, _lastSentAt));
        _insertMessage.Bind(1, message.Id).Bind(2, message.From).Bind(3, message.To)
            .Bind(4, message.Text).Bind(5, message.SentAt).Bind(6, draft.ClientMessageId).Run();
        _insertInbox.Bind(1, message.To).Bind(2, message.Id).Bind(3, message.From).Run();
        _index.Add(message, draft.ClientMessageId);
        (LastId, _lastSentAt) = (message.Id, message.SentAt);
        return message;
    }

    public void Remove(string user, IdRange range, List<Receipt> receipts)
    {
        _remove.Bind(1, user).Bind(2, range.First).Bind(3, range.Last);
        while (_remove.Read())
            receipts.Add(new Receipt(_remove.Int64(0), Name(_remove.Utf8(1)), user));
    }

    /// <summary>Erases messages. The trigger MessageDB_Erased erases their rows in other tables.</summary>
    public void Erase(List<long> ids)
    {
        foreach (var id in ids)
            _erase.Bind(1, id).Run();
        _index.Erased();
    }

    public bool IsInInbox(string user, long id) => _isInInbox.Bind(1, user).Bind(2, id).Exists();

    /// <summary>Copies the write-ahead log into the database, and empties it.</summary>
    public void Finish()
    {
        _database.RequireSound();
        using var checkpoint = new Statement(_connection, "PRAGMA wal_checkpoint(TRUNCATE)");
        checkpoint.Run();
    }

    /// <summary>Writes a page without changing it.</summary>
    public void Touch() => _touch.Run();

    public void Dispose()
    {
        _statements.ForEach(statement => statement.Dispose());
        _connection.Dispose();
    }

    private Statement Prepare(string sql)
    {
        var statement = new Statement(_connection, sql);
        _statements.Add(statement);
        return statement;
    }

    private void ReadLast()
    {
        (LastId, _lastSentAt) = _last.Read() ? (_last.Int64(0), _last.Int64(1)) : (0, 0);
        _last.Reset();
    }

    /// <summary>Decodes a name. Receipts often have the same sender one after another, so the last name is kept.</summary>
    private string Name(ReadOnlySpan<byte> utf8)
    {
        if (!System.Text.Ascii.Equals(utf8, _name))
            _name = System.Text.Encoding.UTF8.GetString(utf8);
        return _name;
    }

    private string _name = "";
}
