namespace SimpleChat.Tests.Batteries;

/// <summary>What a client can put on record.</summary>
internal enum Did
{
    /// <summary>It opened a connection; what it receives over it comes under the same <see cref="Entry.Line"/>.</summary>
    Connected,

    /// <summary>It sent, or repeated, a message.</summary>
    Sent,

    /// <summary>It was told that its message is stored.</summary>
    WasConfirmed,

    /// <summary>A message came out.</summary>
    Received,

    /// <summary>It acknowledged a message; whether that arrived is not known yet.</summary>
    Acknowledged,

    /// <summary>It was told, as the sender or by the answer to its ack, that the message has left the inbox.</summary>
    WasToldDelivered,
}

/// <summary>A line of a record.</summary>
/// <param name="Order">Its place among everybody's lines: what came before in this number came before in time.</param>
/// <param name="Did">What happened.</param>
/// <param name="Id">The message's id, where it is known.</param>
/// <param name="Name">The message's clientMessageId, where it is known.</param>
/// <param name="Other">The one it went to, or came from.</param>
/// <param name="Text">The message's text; no sender sends the same twice.</param>
/// <param name="SentAt">The server's time for it, in milliseconds since 1970-01-01 UTC.</param>
/// <param name="Line">The connection it went or came over, counted by the client.</param>
internal readonly record struct Entry(
    long Order, Did Did, long Id = 0, string Name = "", string Other = "", string Text = "", long SentAt = 0, int Line = 0);

/// <summary>
/// One client's own record of what it did and saw: only ever added to, by one task at a time, and never shown to the server.
/// </summary>
/// <param name="user">Whose.</param>
internal sealed class Record(string user)
{
    private static long s_order;
    private readonly List<Entry> _entries = [];
    private int _line;

    public string User => user;

    public IReadOnlyList<Entry> Entries => _entries;

    /// <summary>Before a connection is opened.</summary>
    public void Connects() => Add(new Entry(0, Did.Connected, Line: ++_line));

    /// <summary>Before a message goes out.</summary>
    public void Sends(string to, string text, string name) => Add(
        new Entry(0, Did.Sent, Name: name, Other: to, Text: text, Line: _line));

    public void WasConfirmed(string name, long id, long sentAt) => Add(new Entry(0, Did.WasConfirmed, id, name, SentAt: sentAt));

    public void Received(long id, string from, string text, long sentAt) =>
        Add(new Entry(0, Did.Received, id, Other: from, Text: text, SentAt: sentAt, Line: _line));

    /// <summary>Before the ack goes out.</summary>
    public void Acknowledges(long id) => Add(new Entry(0, Did.Acknowledged, id));

    public void WasToldDelivered(long id) => Add(new Entry(0, Did.WasToldDelivered, id));

    private void Add(Entry entry) => _entries.Add(entry with { Order = Interlocked.Increment(ref s_order) });
}
