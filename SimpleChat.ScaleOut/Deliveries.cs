using System.Collections.Concurrent;
using System.Globalization;

namespace SimpleChat.ScaleOut;

/// <summary>
/// Tells senders on this node what was delivered, here or elsewhere. A connection is told of what left an inbox after it joined, and of
/// nothing that had left before, however late that is announced: PostgreSQL knows which of the two it was.
/// </summary>
/// <param name="here">The map of this node's connections.</param>
internal sealed class Deliveries(Connections here)
{
    private readonly ConcurrentDictionary<Connection, Snapshot> _joined = new();

    /// <summary>The transaction that this node has committed last. Read and set on the writer's thread.</summary>
    public long Committed { get; set; }

    /// <summary>A connection joins, before it is in the map.</summary>
    /// <param name="connection">The connection.</param>
    /// <param name="seen">What PostgreSQL showed then; null if it did not answer. Then some deliveries may be told twice.</param>
    public void Join(Connection connection, Snapshot? seen)
    {
        if (seen is not null)
            _joined[connection] = seen;
    }

    /// <summary>A connection has left the map.</summary>
    public void Leave(Connection connection) => _joined.TryRemove(connection, out _);

    /// <summary>A message has left its inbox.</summary>
    public void Tell(Delivered delivered)
    {
        foreach (var connection in here.Of(delivered.Receipt.From))
        {
            if (!_joined.TryGetValue(connection, out var seen) || !seen.Sees(delivered.Transaction))
                connection.Tell(delivered.Receipt);
        }
    }
}

/// <summary>A message that has left its inbox.</summary>
/// <param name="Receipt">Which.</param>
/// <param name="Transaction">PostgreSQL's number of the transaction in which it left.</param>
internal readonly record struct Delivered(Receipt Receipt, long Transaction);

/// <summary>
/// Which committed transactions PostgreSQL showed at some moment
/// (https://www.postgresql.org/docs/15/functions-info.html#FUNCTIONS-PG-SNAPSHOT).
/// </summary>
internal sealed class Snapshot
{
    private readonly string _text;
    private readonly long _all, _none; // those below _all, and none from _none on
    private readonly long[] _without; // in between, all but these

    /// <param name="text">In PostgreSQL's form: <c>10:20:10,14,15</c>.</param>
    public Snapshot(string text)
    {
        _text = text;
        var parts = text.Split(':');
        (_all, _none) = (Number(parts[0]), Number(parts[1]));
        _without = parts[2].Length == 0 ? [] : [.. parts[2].Split(',').Select(Number)];

        static long Number(string digits) => long.Parse(digits, CultureInfo.InvariantCulture);
    }

    /// <summary>In PostgreSQL's form.</summary>
    public override string ToString() => _text;

    /// <summary>Whether it shows what a transaction did that has been committed by now.</summary>
    public bool Sees(long transaction) => transaction < _all || (transaction < _none && !_without.Contains(transaction));
}
