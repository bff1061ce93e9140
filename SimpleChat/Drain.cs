using Microsoft.Data.Sqlite;

namespace SimpleChat;

/// <summary>
/// What takes out of a <see cref="Connection"/>, for every transport: what is queued there, or while it is behind a page out of the database.
/// It never waits: what cannot be read now (storage fails, no room, a user in debt) is read later, and the connection is woken for it.
/// One for each connection; the transport that writes is the only one that calls it.
/// </summary>
/// <param name="connection">The connection, just joined.</param>
/// <param name="store">Where pages come from.</param>
/// <param name="room">The room for pages.</param>
/// <param name="time">The clock.</param>
/// <param name="log">Hears of reads that fail.</param>
internal sealed partial class Drain(Connection connection, MessageStore store, PageRoom room, TimeProvider time, ILogger log) : IDisposable
{
    /// <summary>After a failed read the database is left alone for so long.</summary>
    private static readonly TimeSpan RetryPause = TimeSpan.FromMilliseconds(500);

    private Outbox? _outbox; // what the transport has
    private long _upTo; // how far the connection is when it has written that
    private bool _hasRoom;
    private (long First, long Last)? _missed; // receipts that are to be read

    /// <summary>Whose drain it is.</summary>
    public Connection Connection => connection;

    /// <summary>Whether it waits for room. The room's own, under its gate.</summary>
    public bool WaitsForRoom { get; set; }

    /// <summary>Whether more can be had at once. If not, the transport waits until the connection is woken.</summary>
    public bool HasMore { get; private set; }

    /// <summary>
    /// What the transport is to write now, perhaps nothing; good until the next call. Calling again says that it was written. Once the connection is ending
    /// it holds no messages any more, and the transport decides when it is done.
    /// </summary>
    public Outbox Next()
    {
        connection.Passed(_upTo);
        GiveBack();
        HasMore = false;
        var outbox = _outbox = connection.Take();
        if (outbox.MissedReceipts is var (first, last))
            _missed = (Math.Min(first, _missed?.First ?? first), Math.Max(last, _missed?.Last ?? last));
        if (outbox.Messages.Count > 0)
            _upTo = outbox.Messages[^1].Id;
        else if (connection.Ending is null && (outbox.Range is not null || _missed is not null))
            Read(outbox);
        return outbox;
    }

    public void Dispose()
    {
        GiveBack();
        room.WakeNext();
    }

    private void GiveBack()
    {
        if (_hasRoom)
            room.Return();
        _hasRoom = false;
        if (_outbox is not null)
            Outbox.Pool.Return(_outbox);
        _outbox = null;
    }

    /// <summary>Adds a page out of the database, of messages or else of receipts.</summary>
    private void Read(Outbox outbox)
    {
        var debt = connection.Share.Debt;
        if (debt > TimeSpan.Zero)
        {
            WakeAfter(debt);
            return;
        }

        if (!room.TryTake(this))
            return;
        _hasRoom = true;
        try
        {
            if (outbox.Range is { } range)
                _upTo = ReadMessages(outbox, range);
            else
                ReadReceipts(outbox);
            HasMore = true;
        }
        catch (SqliteException e)
        {
            Log.ReadFailed(log, connection.User, ChatDatabase.Explain(e));
            WakeAfter(RetryPause);
        }

        connection.Share.Charge(Work.Page(outbox.Messages.Count + outbox.Receipts.Count, outbox.Messages.Sum(message => message.Text.Length)));
    }

    private long ReadMessages(Outbox outbox, CatchUp range)
    {
        var page = Page.Of(range.InboxOnly
            ? store.ReadInbox(connection.User, range.After, range.UpTo)
            : store.ReadConcerning(connection.User, range.After, range.UpTo), range.UpTo);
        outbox.Messages.AddRange(page.Messages.Where(message => !connection.IsOwn(message)));
        return page.UpTo;
    }

    private void ReadReceipts(Outbox outbox)
    {
        var (first, last) = _missed!.Value;
        var page = store.ReadReceipts(connection.User, first, last);
        outbox.Receipts.AddRange(page);
        _missed = page.Count == 0 ? null : (page[^1].Id + 1, last);
    }

    /// <summary>Nobody waits for this: it only wakes.</summary>
    private void WakeAfter(TimeSpan pause) => _ = Task.Delay(pause, time).ContinueWith(
        static (_, state) => ((Connection)state!).Wake(), connection, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);

    private static partial class Log
    {
        [LoggerMessage(14, LogLevel.Debug, "{User} has to wait for messages out of the database: {Fault}")]
        public static partial void ReadFailed(ILogger log, string user, string fault);
    }
}
