using System.Buffers;
using System.Globalization;
using System.Runtime.InteropServices;

namespace SimpleChat.Storage;

/// <summary>
/// Keeps the indexes over MessageDB (see <c>chat.db.sql</c>). Messages are not indexed at once: they gather in memory until a lot is full.
/// Then each commit inserts a few of the lot's index rows, sorted by key. Up to the mark (<c>MessageDB_Indexed</c>) the indexes are
/// complete. Above it the writer finds repeats in memory, and readers search MessageDB itself, which is a lot or two. The writer's thread
/// owns this. After a crash the next start indexes the rest (<see cref="UnindexedMessages"/>).
/// </summary>
internal sealed class MessageIndex
{
    /// <summary>
    /// The fewest messages in a lot. With more, index rows share more pages; but readers have to search through as many messages.
    /// </summary>
    public const int LotSize = 8192;

    /// <summary>
    /// How many ids each commit inserts for each of its messages. That is twice what a message adds, so a lot is finished long before the
    /// next one is full.
    /// </summary>
    private const int IdsPerMessage = 8;

    private const int MaxDigits = 20;

    private readonly Statement[] _insert, _insertExisting; // by IndexLot.Table; the latter skip messages that are gone
    private readonly Statement _find, _moveMark, _dataVersion;

    private readonly Dictionary<(string Sender, string ClientMessageId), long> _repeats = []; // messages above the mark
    private readonly List<IndexLot.Entry> _open = []; // messages that the open transaction inserted
    private readonly ArrayBufferWriter<byte> _ids = new();
    private IndexLot _gathering = new(); // takes new messages
    private IndexLot _going = new(); // is being inserted
    private IndexLot.Place _next; // what to insert next out of _going
    private long _last; // the highest id inserted
    private long _erasedUpTo; // messages up to this id may have been erased, and must not be indexed then
    private long _seenVersion; // of what other connections have committed

    /// <param name="prepare">Prepares a statement on the writer's connection, which disposes of it.</param>
    public MessageIndex(Func<string, Statement> prepare)
    {
        const string ByName = "INSERT OR REPLACE INTO MessageDB_ByClientMessageId";
        const string Ids = "FROM json_each('[' || ?3 || ']')";
        const string ByUser = $"INSERT OR IGNORE INTO MessageDB_ByUser SELECT ?1, value {Ids}";
        const string ByConversation = $"INSERT OR IGNORE INTO MessageDB_ByConversation SELECT ?1, ?2, value {Ids}";
        const string IfThere = "WHERE EXISTS (SELECT 1 FROM MessageDB WHERE Id =";
        // VALUES where that will do: for a SELECT, SQLite prepares to undo several rows.
        _insert = [prepare($"{ByName} VALUES (?1, ?2, ?3)"), prepare(ByUser), prepare(ByConversation)];
        _insertExisting =
        [
            prepare($"{ByName} SELECT ?1, ?2, ?3 {IfThere} ?3)"), prepare($"{ByUser} {IfThere} value)"),
            prepare($"{ByConversation} {IfThere} value)"),
        ];
        _dataVersion = prepare("PRAGMA data_version"); // https://sqlite.org/pragma.html#pragma_data_version
        _find = prepare("SELECT MessageId FROM MessageDB_ByClientMessageId WHERE Sender = ?1 AND ClientMessageId = ?2");
        _moveMark = prepare("UPDATE MessageDB_Indexed SET UpTo = ?1");
        UnindexedMessages.Index(prepare);
        LookForErasures();
    }

    /// <summary>Puts the two sides of a conversation into the index's order, which is SQLite's BINARY.</summary>
    public static (string User1, string User2) Pair(string one, string other) =>
        string.CompareOrdinal(one, other) <= 0 ? (one, other) : (other, one);

    /// <summary>Called when the open transaction inserted a message.</summary>
    public void Add(Message message, string? clientMessageId)
    {
        _open.Add(new IndexLot.Entry(message.Id, message.From, message.To, clientMessageId));
        _last = message.Id;
        if (clientMessageId is not null)
            _repeats[(message.From, clientMessageId)] = message.Id;
    }

    /// <summary>Called when messages were erased, with the index rows that they had by then.</summary>
    public void Erased() => _erasedUpTo = _last;

    /// <summary>
    /// Finds the message that <paramref name="sender"/> sent under this clientMessageId, however long ago. Returns its id, or null.
    /// </summary>
    public long? Find(string sender, string clientMessageId)
    {
        if (_repeats.TryGetValue((sender, clientMessageId), out var recent))
            return recent;
        if (!_find.Bind(1, sender).Bind(2, clientMessageId).Read())
            return null;
        var id = _find.Int64(0);
        _find.Reset();
        return id;
    }

    /// <summary>Called just before a commit: inserts the lot's next rows. After a failure this index is of no use any more.</summary>
    public void Advance()
    {
        if (_going.Count == 0)
            return;
        LookForErasures();
        for (var left = IdsPerMessage * (1 + _open.Count); left > 0 && _next.Row < _going.Rows.Count;)
        {
            var row = _going.Rows[_next.Row];
            var count = Math.Min(row.Ids.Count - _next.Id, row.Table == IndexLot.Table.ByClientMessageId ? 1 : IndexLot.IdsPerRow);
            Insert(row, _next.Id, count);
            left -= count;
            _next = _next.Id + count < row.Ids.Count ? _next with { Id = _next.Id + count } : new IndexLot.Place(_next.Row + 1, 0);
        }

        if (_next.Row == _going.Rows.Count)
            _moveMark.Bind(1, _going.UpTo).Run();
    }

    /// <summary>Called when the transaction is on disk.</summary>
    public void Committed()
    {
        foreach (var entry in _open)
            _gathering.Add(entry);
        _open.Clear();

        if (_going.Count > 0 && _next.Row == _going.Rows.Count)
        {
            foreach (var name in _going.Names)
                // Keeps the entry of a later message with the same name; the first was erased then.
                ((ICollection<KeyValuePair<(string, string), long>>)_repeats).Remove(name);
            _going.Clear();
        }

        if (_going.Count == 0 && _gathering.Count >= LotSize)
        {
            (_gathering, _going) = (_going, _gathering);
            _next = default;
        }
    }

    /// <summary>Called when the transaction is undone, before <see cref="Advance"/>.</summary>
    public void RolledBack()
    {
        foreach (var entry in _open)
        {
            if (entry.ClientMessageId is not null)
                _repeats.Remove((entry.Sender, entry.ClientMessageId));
        }

        _open.Clear();
    }

    /// <summary>Any commit of another connection may have erased messages.</summary>
    private void LookForErasures()
    {
        _dataVersion.Read();
        var version = _dataVersion.Int64(0);
        _dataVersion.Reset();
        if (version != _seenVersion)
            Erased();
        _seenVersion = version;
    }

    private void Insert(IndexLot.Row row, int first, int count)
    {
        var ids = CollectionsMarshal.AsSpan(row.Ids).Slice(first, count);
        var insert = (ids[0] <= _erasedUpTo ? _insertExisting : _insert)[(int)row.Table].Bind(1, row.First);
        if (row.Table == IndexLot.Table.ByClientMessageId)
        {
            insert.Bind(2, row.ClientMessageIds[first]).Bind(3, ids[0]).Run();
            return;
        }

        _ids.ResetWrittenCount();
        foreach (var id in ids)
        {
            if (_ids.WrittenCount > 0)
                _ids.Write(","u8);
            id.TryFormat(_ids.GetSpan(MaxDigits), out var length, default, CultureInfo.InvariantCulture);
            _ids.Advance(length);
        }

        if (row.Second is not null)
            insert.Bind(2, row.Second);
        insert.Bind(3, _ids.WrittenSpan).Run();
    }
}
