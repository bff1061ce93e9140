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

    private readonly Statement[] _insert;
    private readonly Statement _find, _moveMark;

    private readonly Dictionary<(string Sender, string ClientMessageId), long> _repeats = []; // messages above the mark
    private readonly List<IndexLot.Entry> _open = []; // messages that the open transaction inserted
    private readonly List<long> _erasing = []; // messages that the open transaction erased
    private readonly HashSet<long> _erased = []; // messages above the mark that were erased, and must not be indexed
    private readonly ArrayBufferWriter<byte> _ids = new();
    private IndexLot _gathering = new(); // takes new messages
    private IndexLot _going = new(); // is being inserted
    private IndexLot.Place _next; // what to insert next out of _going
    private IndexLot.Place _nextBefore; // what _next was before the open transaction

    /// <param name="prepare">Prepares a statement on the writer's connection, which disposes of it.</param>
    public MessageIndex(Func<string, Statement> prepare)
    {
        _insert =
        [
            prepare("INSERT OR REPLACE INTO MessageDB_ByClientMessageId VALUES (?1, ?2, ?3)"),
            prepare("INSERT OR IGNORE INTO MessageDB_ByUser SELECT ?1, value FROM json_each('[' || ?3 || ']')"),
            prepare("INSERT OR IGNORE INTO MessageDB_ByConversation SELECT ?1, ?2, value FROM json_each('[' || ?3 || ']')"),
        ];
        _find = prepare("SELECT MessageId FROM MessageDB_ByClientMessageId WHERE Sender = ?1 AND ClientMessageId = ?2");
        _moveMark = prepare("UPDATE MessageDB_Indexed SET UpTo = ?1");
        UnindexedMessages.Index(prepare);
    }

    /// <summary>Puts the two sides of a conversation into the index's order, which is SQLite's BINARY.</summary>
    public static (string User1, string User2) Pair(string one, string other) =>
        string.CompareOrdinal(one, other) <= 0 ? (one, other) : (other, one);

    /// <summary>Called when the open transaction inserted a message.</summary>
    public void Add(Message message, string? clientMessageId)
    {
        _open.Add(new IndexLot.Entry(message.Id, message.From, message.To, clientMessageId));
        if (clientMessageId is not null)
            _repeats[(message.From, clientMessageId)] = message.Id;
    }

    /// <summary>Called when the open transaction erased a message, with the index rows that it has so far.</summary>
    public void Erase(long id) => _erasing.Add(id);

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

    /// <summary>Called just before a commit: inserts the lot's next rows within its transaction.</summary>
    public void Advance()
    {
        if (_going.Count == 0)
            return;
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
        _erased.UnionWith(_erasing);
        _erasing.Clear();
        _nextBefore = _next;

        if (_going.Count > 0 && _next.Row == _going.Rows.Count)
        {
            foreach (var name in _going.Names)
                // Keeps the entry of a later message with the same name; the first was erased then.
                ((ICollection<KeyValuePair<(string, string), long>>)_repeats).Remove(name);
            var mark = _going.UpTo;
            _erased.RemoveWhere(id => id <= mark);
            _going.Clear();
        }

        if (_going.Count == 0 && _gathering.Count >= LotSize)
        {
            (_gathering, _going) = (_going, _gathering);
            (_next, _nextBefore) = (default, default);
        }
    }

    /// <summary>Called when the transaction is undone.</summary>
    public void RolledBack()
    {
        foreach (var entry in _open)
        {
            if (entry.ClientMessageId is not null)
                _repeats.Remove((entry.Sender, entry.ClientMessageId));
        }

        _open.Clear();
        _erasing.Clear();
        _next = _nextBefore;
    }

    private void Insert(IndexLot.Row row, int first, int count)
    {
        var insert = _insert[(int)row.Table].Bind(1, row.First);
        if (row.Table == IndexLot.Table.ByClientMessageId)
        {
            if (!IsErased(row.Ids[first]))
                insert.Bind(2, row.ClientMessageIds[first]).Bind(3, row.Ids[first]).Run();
            return;
        }

        _ids.ResetWrittenCount();
        foreach (var id in CollectionsMarshal.AsSpan(row.Ids).Slice(first, count))
        {
            if (IsErased(id))
                continue;
            if (_ids.WrittenCount > 0)
                _ids.Write(","u8);
            id.TryFormat(_ids.GetSpan(MaxDigits), out var length, default, CultureInfo.InvariantCulture);
            _ids.Advance(length);
        }

        if (row.Second is not null)
            insert.Bind(2, row.Second);
        insert.Bind(3, _ids.WrittenSpan).Run();
    }

    private bool IsErased(long id) => _erased.Contains(id) || _erasing.Contains(id);
}
