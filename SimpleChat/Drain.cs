using SimpleChat.Limits;
using SimpleChat.Queues;
using SimpleChat.Storage;
using SimpleChat.Wire;

namespace SimpleChat;

/// <summary>
/// Gets what a transport writes next: what is queued in the <see cref="Connection"/> or, while that is behind, a page out of the database.
/// A WebSocket or a stream has one, and calls it. It never waits. Storage may fail, the <see cref="PageRoom"/> may be full, or the user may
/// be in debt. Then it reads later, and the connection is woken for it.
/// </summary>
internal sealed partial class Drain(Connection connection, IMessageReader reader, PageRoom room, TimeProvider time, ILogger log)
    : IDisposable
{
    /// <summary>After a failed read the database is left alone for this long.</summary>
    private static readonly TimeSpan RetryPause = TimeSpan.FromMilliseconds(500);

    private readonly PageRoom.Place _place = new(room, connection.Share, connection.Signal);
    private Outbox? _outbox; // the transport has it, and may not have written it yet
    private long _upTo; // the position once it is written
    private bool _waitsForRoom; // there was no room for the page that was read last: it is read again
    private IdRange? _missedReceipts; // still to be read from the database
    private Task<Action<Outbox>>? _reading; // reads a page; the result adds it to an outbox

    /// <summary>Whether more can be had at once. If not, the transport waits until the connection is woken.</summary>
    public bool HasMore { get; private set; }

    /// <summary>
    /// Called when the outbox before was written. Moves the position past it, and returns what is to be written next, perhaps nothing. That
    /// is good until the next call. Once the connection is ending there are no more messages, and the transport decides when it is done.
    /// </summary>
    public Outbox Next()
    {
        connection.Passed(_upTo);
        GiveBack();
        HasMore = false;
        var outbox = _outbox = connection.Take(_place);
        if (outbox.MissedReceipts is { } missed)
            _missedReceipts = IdRange.Around(_missedReceipts, missed);
        if (outbox.Messages.Count > 0)
            (_upTo, HasMore) = (outbox.Messages[^1].Id, _missedReceipts is not null); // the next call reads the receipts
        else if (connection.Ending is null && (outbox.CatchUp is not null || _missedReceipts is not null))
            Read(outbox);
        _place.PassOn();
        if (outbox.Messages.Count > 0 || outbox.Receipts.Count > 0)
            return outbox;
        GiveBack(); // nothing to write; if a page had nothing for this client, the next call moves the position past it
        return Outbox.Nothing;
    }

    public void Dispose()
    {
        GiveBack();
        _place.Dispose();
    }

    private void GiveBack()
    {
        if (_reading is null)
            _place.Return();
        if (_outbox is not null)
            Outbox.Pool.Return(_outbox);
        _outbox = null;
    }

    /// <summary>Adds a page from the database, of messages or else of receipts. A read that takes long wakes the connection.</summary>
    private void Read(Outbox outbox)
    {
        if (_reading is null)
        {
            var debt = connection.Share.Debt;
            if (debt > TimeSpan.Zero)
                WakeAfter(debt);
            if (debt > TimeSpan.Zero || _waitsForRoom && !_place.TryTake())
                return;
            _reading = outbox.CatchUp is { } range ? ReadMessagesAsync(range) : ReadReceiptsAsync(_missedReceipts!.Value);
            if (!_reading.IsCompleted)
                connection.Signal.SetAfter(_reading);
        }

        if (!_reading.IsCompleted)
            return;
        (var read, _reading) = (_reading, null);
        try
        {
            var addTo = read.GetAwaiter().GetResult();
            addTo(outbox);
            _waitsForRoom = outbox.NeedsRoom && !_place.TryTake();
            if (_waitsForRoom)
                outbox.DropMessages(); // the database still has them
            (_upTo, HasMore) = _waitsForRoom ? (0, false) : (_upTo, true);
        }
        catch (Exception e) when (StorageFault.Is(e))
        {
            Log.ReadFailed(log, connection.User, StorageFault.Explain(e));
            WakeAfter(RetryPause);
        }

        connection.Share.Charge(Work.Read(outbox.Messages.Count + outbox.Receipts.Count, outbox.TextLength));
    }

    private async Task<Action<Outbox>> ReadMessagesAsync(CatchUp range)
    {
        var page = await Page.OfAsync(range.InboxOnly
            ? reader.ReadInbox(connection.User, range.After, range.UpTo)
            : reader.ReadConcerning(connection.User, range.After, range.UpTo), range.UpTo);
        return outbox =>
        {
            outbox.Add(page.Messages.Where(message => !connection.IsOwn(message)));
            _upTo = page.UpTo;
        };
    }

    private async Task<Action<Outbox>> ReadReceiptsAsync(IdRange range)
    {
        var page = await reader.ReadReceiptsAsync(connection.User, range.First, range.Last);
        return outbox =>
        {
            outbox.Receipts.AddRange(page);
            if (_missedReceipts == range) // no more were missed meanwhile
                _missedReceipts = page.Count == 0 ? null : range with { First = page[^1].Id + 1 };
        };
    }

    /// <summary>Wakes the connection later. Nobody waits for this.</summary>
    private void WakeAfter(TimeSpan pause) => connection.Signal.SetAfter(Task.Delay(pause, time));

    private static partial class Log
    {
        [LoggerMessage(14, LogLevel.Debug, "Reading for {User} failed, and is tried again: {Fault}")]
        public static partial void ReadFailed(ILogger log, string user, string fault);
    }
}
