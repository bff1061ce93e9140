using System.Buffers;
using System.Globalization;
using System.Runtime.InteropServices;

namespace SimpleChat;

/// <summary>
/// Keeps the indexes over MessageDB (see <c>chat.db.sql</c>), later and in lots: messages gather in memory, and when there are enough their index rows
/// go to disk, neighbours together, a few with each commit. Until then the writer finds repeats in memory, and readers look through
/// what is above the mark in MessageDB itself, which is a lot or two. Owned by the writer's thread; after a crash the rest is indexed at the next start.
/// </summary>
internal sealed class MessageIndex
{
    /// <summary>Messages in a lot. More share more pages; but as many have to be looked through by a reader.</summary>
    public const int LotSize = 8192;

    /// <summary>Ids that go into an index with each message committed: twice what a message adds, so that a lot is done long before the next one is full.</summary>
    private const int IdsPerMessage = 8;

    /// <summary>Ids that go in by one statement, at most: some tens of microseconds.</summary>
    private const int IdsPerRow = 128;

    private const int MaxDigits = 20;

    private enum Table
    {
        ByClientMessageId,
        ByUser,
        ByConversation,
    }

    private readonly Statement[] _insert;
    private readonly Statement _find, _moveMark;

    private readonly Dictionary<(string Sender, string ClientMessageId), long> _repeats = [];
    private readonly List<Entry> _tail = []; // every message above the mark, oldest first
    private int _committed; // of them

    // The lot: what the indexes say of the first messages in the tail, on its way to disk. All of it is used again for the next one.
    private readonly Entry[] _lot = new Entry[LotSize];
    private readonly Dictionary<(Table Table, string First, string? Second), List<long>> _neighbours = [];
    private readonly Stack<List<long>> _spare = [];
    private readonly List<Row> _rows = [];
    private readonly ArrayBufferWriter<byte> _ids = new(); // of the rows, in digits, with commas in between
    private Task? _making; // of the rows; null while there is no lot
    private int _written, _writtenBefore; // of them, in the open transaction too; and before it

    /// <param name="prepare">Makes a statement on the writer's connection, which keeps it.</param>
    public MessageIndex(Func<string, Statement> prepare)
    {
        _insert =
        [
            prepare("INSERT OR IGNORE INTO MessageDB_ByClientMessageId VALUES (?1, ?2, ?3)"), // always one id
            prepare("INSERT OR IGNORE INTO MessageDB_ByUser SELECT ?1, value FROM json_each('[' || ?3 || ']')"),
            prepare("INSERT OR IGNORE INTO MessageDB_ByConversation SELECT ?1, ?2, value FROM json_each('[' || ?3 || ']')"),
        ];
        _find = prepare("SELECT MessageId FROM MessageDB_ByClientMessageId WHERE Sender = ?1 AND ClientMessageId = ?2");
        _moveMark = prepare("UPDATE MessageDB_Indexed SET UpTo = ?1");
        Complete(prepare);
    }

    /// <summary>A message was inserted in the open transaction.</summary>
    public void Add(Message message, string? clientMessageId)
    {
        _tail.Add(new Entry(message.Id, message.From, message.To, clientMessageId));
        if (clientMessageId is not null)
            _repeats.Add((message.From, clientMessageId), message.Id);
    }

    /// <summary>The id of the message that <paramref name="sender"/> sent under this clientMessageId, ever; null if there is none.</summary>
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

    /// <summary>Just before a commit: writes the next rows of the lot into its transaction.</summary>
    public void Advance()
    {
        if (_making is not { IsCompletedSuccessfully: true })
            return;
        for (var left = IdsPerMessage * (1 + _tail.Count - _committed); left > 0 && _written < _rows.Count; _written++)
        {
            var row = _rows[_written];
            var insert = _insert[(int)row.Table].Bind(1, row.First);
            if (row.Second is not null)
                insert.Bind(2, row.Second);
            insert.Bind(3, _ids.WrittenSpan[row.Ids]).Run();
            left -= row.Count;
        }

        if (_written == _rows.Count)
            _moveMark.Bind(1, _tail[LotSize - 1].Id).Run();
    }

    /// <summary>The transaction is on disk.</summary>
    public void Committed()
    {
        _committed = _tail.Count;
        _writtenBefore = _written;
        if (_making is { IsCompletedSuccessfully: true } && _written == _rows.Count)
        {
            Forget(0, LotSize);
            _committed -= LotSize;
            _making = null;
        }

        if (_making is null && _committed >= LotSize)
            StartLot();
    }

    /// <summary>The transaction is undone.</summary>
    public void RolledBack()
    {
        Forget(_committed, _tail.Count - _committed);
        _written = _writtenBefore;
    }

    /// <summary>Makes the index rows of the next messages, elsewhere: a moment's work, but a moment too long for whoever waits for a commit.</summary>
    private void StartLot()
    {
        _rows.Clear();
        _ids.ResetWrittenCount();
        (_written, _writtenBefore) = (0, 0);
        _tail.CopyTo(0, _lot, 0, LotSize);
        _making = Task.Run(MakeRows);
    }

    /// <summary>Neighbours together, in the order of their ids; where each neighbourhood goes is for the index to find.</summary>
    private void MakeRows()
    {
        foreach (var (id, sender, recipient, clientMessageId) in _lot)
        {
            if (clientMessageId is not null)
                AddRow(Table.ByClientMessageId, sender, clientMessageId, [id]);
            Add(Table.ByUser, sender, null, id);
            if (sender != recipient)
                Add(Table.ByUser, recipient, null, id);
            var (user1, user2) = Pair(sender, recipient);
            Add(Table.ByConversation, user1, user2, id);
        }

        _rows.Sort((one, other) => string.CompareOrdinal(one.First, other.First)); // clientMessageIds of one sender are neighbours too
        foreach (var (key, ids) in _neighbours)
        {
            for (var left = CollectionsMarshal.AsSpan(ids); left.Length > 0; left = left[Math.Min(left.Length, IdsPerRow)..])
                AddRow(key.Table, key.First, key.Second, left[..Math.Min(left.Length, IdsPerRow)]);
            ids.Clear();
            _spare.Push(ids);
        }

        _neighbours.Clear();

        void Add(Table table, string first, string? second, long id)
        {
            ref var ids = ref CollectionsMarshal.GetValueRefOrAddDefault(_neighbours, (table, first, second), out _);
            (ids ??= _spare.TryPop(out var spare) ? spare : []).Add(id);
        }
    }

    private void AddRow(Table table, string first, string? second, ReadOnlySpan<long> ids)
    {
        var start = _ids.WrittenCount;
        foreach (var id in ids)
        {
            if (_ids.WrittenCount > start)
                _ids.Write(","u8);
            id.TryFormat(_ids.GetSpan(MaxDigits), out var length, default, CultureInfo.InvariantCulture);
            _ids.Advance(length);
        }

        _rows.Add(new Row(table, first, second, start.._ids.WrittenCount, ids.Length));
    }

    /// <summary>The two sides of a conversation in the order in which the index has them, which is SQLite's BINARY.</summary>
    public static (string User1, string User2) Pair(string one, string other) => string.CompareOrdinal(one, other) <= 0 ? (one, other) : (other, one);

    private void Forget(int first, int count)
    {
        for (var i = first; i < first + count; i++)
        {
            if (_tail[i].ClientMessageId is { } clientMessageId)
                _repeats.Remove((_tail[i].Sender, clientMessageId));
        }

        _tail.RemoveRange(first, count);
    }

    /// <summary>At the start, and after a fault: indexes what is above the mark, all at once.</summary>
    private static void Complete(Func<string, Statement> prepare)
    {
        string[] steps =
        [
            "BEGIN IMMEDIATE",
            """
            INSERT OR IGNORE INTO MessageDB_ByClientMessageId SELECT Sender, ClientMessageId, Id FROM MessageDB
            WHERE Id > (SELECT UpTo FROM MessageDB_Indexed) AND ClientMessageId IS NOT NULL ORDER BY Sender, ClientMessageId
            """,
            """
            INSERT OR IGNORE INTO MessageDB_ByUser
            SELECT Sender, Id FROM MessageDB WHERE Id > (SELECT UpTo FROM MessageDB_Indexed)
            UNION SELECT Recipient, Id FROM MessageDB WHERE Id > (SELECT UpTo FROM MessageDB_Indexed) ORDER BY 1, 2
            """,
            """
            INSERT OR IGNORE INTO MessageDB_ByConversation SELECT min(Sender, Recipient), max(Sender, Recipient), Id FROM MessageDB
            WHERE Id > (SELECT UpTo FROM MessageDB_Indexed) ORDER BY 1, 2, 3
            """,
            "UPDATE MessageDB_Indexed SET UpTo = coalesce((SELECT max(Id) FROM MessageDB), 0)",
            "COMMIT",
        ];
        if (!prepare("SELECT 1 FROM MessageDB, MessageDB_Indexed WHERE Id > UpTo LIMIT 1").Exists())
            return;
        foreach (var step in steps)
            prepare(step).Run();
    }

    private readonly record struct Entry(long Id, string Sender, string Recipient, string? ClientMessageId);

    /// <summary>Neighbours in an index: one key, and where the <paramref name="Count"/> ids under it are.</summary>
    private readonly record struct Row(Table Table, string First, string? Second, Range Ids, int Count);
}
