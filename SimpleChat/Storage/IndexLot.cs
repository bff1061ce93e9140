using System.Runtime.InteropServices;

namespace SimpleChat.Storage;

/// <summary>Messages that are indexed together. The lot is reused, with its memory.</summary>
internal sealed class IndexLot
{
    /// <summary>Most ids that one statement inserts: that takes some tens of microseconds.</summary>
    public const int IdsPerRow = 128;

    private readonly Dictionary<string, Row> _byUser = [], _bySender = [];
    private readonly Dictionary<(string, string), Row> _byConversation = [];
    private readonly Stack<Row> _spare = [];

    /// <summary>The index rows to insert. Ids under the same key are together.</summary>
    public List<Row> Rows { get; } = [];

    public int Count { get; private set; }

    /// <summary>The id of its last message.</summary>
    public long UpTo { get; private set; }

    /// <summary>Each clientMessageId with its sender, and the id of its message.</summary>
    public IEnumerable<KeyValuePair<(string Sender, string ClientMessageId), long>> Names =>
        _bySender.Values.SelectMany(row => row.ClientMessageIds.Zip(row.Ids, (name, id) => KeyValuePair.Create((row.First, name), id)));

    /// <summary>Adds a message. Ids must rise.</summary>
    public void Add(Entry entry)
    {
        var (id, sender, recipient, clientMessageId) = entry;
        (UpTo, Count) = (id, Count + 1);
        if (clientMessageId is not null)
            Under(_bySender, sender, Table.ByClientMessageId, sender, null, id).ClientMessageIds.Add(clientMessageId);
        Under(_byUser, sender, Table.ByUser, sender, null, id);
        if (sender != recipient)
            Under(_byUser, recipient, Table.ByUser, recipient, null, id);
        var (user1, user2) = MessageIndex.Pair(sender, recipient);
        Under(_byConversation, (user1, user2), Table.ByConversation, user1, user2, id);
    }

    /// <summary>Empties the lot for its next use.</summary>
    public void Clear()
    {
        foreach (var row in Rows)
        {
            row.Ids.Clear();
            row.ClientMessageIds.Clear();
            if (row.Ids.Capacity <= IdsPerRow) // larger rows are dropped, or in time all would be as large as the largest
                _spare.Push(row);
        }

        Rows.Clear();
        _byUser.Clear();
        _bySender.Clear();
        _byConversation.Clear();
        Count = 0;
    }

    private Row Under<TKey>(Dictionary<TKey, Row> rows, TKey key, Table table, string first, string? second, long id) where TKey : notnull
    {
        ref var row = ref CollectionsMarshal.GetValueRefOrAddDefault(rows, key, out var known);
        if (!known)
        {
            row = _spare.TryPop(out var spare) ? spare : new Row();
            (row.Table, row.First, row.Second) = (table, first, second);
            Rows.Add(row);
        }

        row!.Ids.Add(id);
        return row;
    }

    internal enum Table
    {
        ByClientMessageId,
        ByUser,
        ByConversation,
    }

    /// <summary>What the indexes need to know of a message.</summary>
    internal readonly record struct Entry(long Id, string Sender, string Recipient, string? ClientMessageId);

    /// <summary>How much of a lot is on disk: the next row to insert, and the next id in it.</summary>
    internal readonly record struct Place(int Row, int Id);

    /// <summary>One key of an index, and the ids under it, rising. For clientMessageIds the sender alone is the key.</summary>
    internal sealed class Row
    {
        public Table Table { get; set; }

        public string First { get; set; } = "";

        public string? Second { get; set; }

        public List<long> Ids { get; } = [];

        /// <summary>One for each id; used only for the index of clientMessageIds.</summary>
        public List<string> ClientMessageIds { get; } = [];
    }
}
