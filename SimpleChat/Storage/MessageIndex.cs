using System.Buffers;
using System.Globalization;
using System.Runtime.InteropServices;

namespace SimpleChat.Storage;

/// <summary>
/// Keeps the indexes over MessageDB (see <c>chat.db.sql</c>), later and in lots: messages gather in memory, and when there are enough their
/// index rows go to disk, neighbours together, a few with each commit. Until then the writer finds repeats in memory, and readers look
/// through what is above the mark in MessageDB itself, which is a lot or two. Owned by the writer's thread; after a crash the rest is
/// indexed at the next start.
/// </summary>
internal sealed class MessageIndex
{
    /// <summary>Messages in a lot, at least. More share more pages; but as many have to be looked through by a reader.</summary>
    public const int LotSize = 8192;

    /// <summary>
    /// Ids that go into an index with each message committed: twice what a message adds, so that a lot is done long before the next one is
    /// full.
    /// </summary>
    private const int IdsPerMessage = 8;

    private const int MaxDigits = 20;

    private readonly Statement[] _insert;
    private readonly Statement _find, _moveMark;

    private readonly Dictionary<(string Sender, string ClientMessageId), long> _repeats = []; // above the mark
    private readonly List<IndexLot.Entry> _open = []; // what was inserted in the open transaction
    private readonly List<long> _erasing = []; // what was erased in the open transaction
    private readonly HashSet<long> _erased = []; // above the mark, and not to be indexed any more
    private readonly ArrayBufferWriter<byte> _ids = new();
    private IndexLot _gathering = new(), _going = new();
    private IndexLot.Place _next, _nextBefore; // in the lot that goes: what goes next, and what would if the open transaction were undone

    /// <param name="prepare">Makes a statement on the writer's connection, which keeps it.</param>
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

    /// <summary>The two sides of a conversation in the order in which the index has them, which is SQLite's BINARY.</summary>
    public static (string User1, string User2) Pair(string one, string other) =>
        string.CompareOrdinal(one, other) <= 0 ? (one, other) : (other, one);

    /// <summary>A message was inserted in the open transaction.</summary>
    public void Add(Message message, string? clientMessageId)
    {
        _open.Add(new IndexLot.Entry(message.Id, message.From, message.To, clientMessageId));
        if (clientMessageId is not null)
            _repeats[(message.From, clientMessageId)] = message.Id;
    }

    /// <summary>A message was erased in the open transaction, with all index rows that it has so far.</summary>
    public void Erase(long id) => _erasing.Add(id);

    /// <summary>
    /// The id of the message that <paramref name="sender"/> sent under this clientMessageId, ever; null if there is none.
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

    /// <summary>Just before a commit: writes the next rows of the lot that goes into its transaction.</summary>
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

    /// <summary>The transaction is on disk.</summary>
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
                // But not a later message's of the same name, when the first was erased.
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

    /// <summary>Messages inserted in the open transaction so far.</summary>
    public int OpenCount => _open.Count;

    /// <summary>The transaction is undone.</summary>
    public void RolledBack()
    {
        Forget(0);
        _erasing.Clear();
        _next = _nextBefore;
    }

    /// <summary>Of what was inserted in the open transaction, all but the first <paramref name="count"/> messages are undone.</summary>
    public void Forget(int count)
    {
        foreach (var entry in CollectionsMarshal.AsSpan(_open)[count..])
        {
            if (entry.ClientMessageId is not null)
                _repeats.Remove((entry.Sender, entry.ClientMessageId));
        }

        _open.RemoveRange(count, _open.Count - count);
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
