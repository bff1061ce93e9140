using SimpleChat.Settings;

namespace SimpleChat.Queues;

/// <summary>
/// The room for pages that connections hold while they catch up. A page is held from when it is read until it is written. A peer that takes
/// nothing keeps its page, and many of those must not fill the memory. So there is room for a part of the memory; then connections wait for
/// each other.
/// </summary>
/// <param name="pages">How many pages may be held at once.</param>
internal sealed class PageRoom(int pages)
{
    /// <summary>The part of the memory that pages may take.</summary>
    private const int PartOfMemory = 8;

    private readonly Lock _gate = new();
    private readonly Queue<Place> _waiting = []; // under _gate
    private int _free = pages; // under _gate

    /// <summary>As much room as the process's memory allows.</summary>
    /// <param name="pageText">Bytes of text after which a page ends, with the message that fills it.</param>
    /// <param name="options">How large that message may be.</param>
    public static PageRoom For(int pageText, ChatOptions options) => new((int)Math.Clamp(
        GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / PartOfMemory / (pageText + options.MaxMessageBytes), 4, 1_000_000));

    /// <summary>Takes room for one page. If there is none, the place is woken when there is.</summary>
    public bool TryTake(Place place)
    {
        lock (_gate)
        {
            place.IsTaken = _free > 0;
            if (place.IsTaken)
            {
                _free--;
                return true;
            }

            if (!place.IsWaiting)
                _waiting.Enqueue(place);
            place.IsWaiting = true;
            return false;
        }
    }

    /// <summary>Gives back the room for one page, if it was taken.</summary>
    public void Return(Place place)
    {
        if (!place.IsTaken)
            return;
        place.IsTaken = false;
        lock (_gate)
            _free++;
        WakeNext();
    }

    /// <summary>Gives the place up. If it was woken in vain, the next one is woken.</summary>
    public void Leave(Place place)
    {
        lock (_gate)
            place.IsGone = true;
        Return(place);
        WakeNext();
    }

    private void WakeNext()
    {
        Place? next = null;
        lock (_gate)
        {
            while (_free > 0 && next is null && _waiting.TryDequeue(out var place))
            {
                place.IsWaiting = false;
                next = place.IsGone ? null : place;
            }
        }

        next?.Signal.Set();
    }

    /// <summary>One reader's place in the queue.</summary>
    /// <param name="signal">Wakes it.</param>
    internal sealed class Place(Signal signal)
    {
        /// <summary>Wakes the reader.</summary>
        public Signal Signal => signal;

        /// <summary>Whether it has room. The reader's own.</summary>
        public bool IsTaken { get; set; }

        /// <summary>Whether it waits for room. Under the room's gate.</summary>
        public bool IsWaiting { get; set; }

        /// <summary>Whether its reader is gone. Under the room's gate.</summary>
        public bool IsGone { get; set; }
    }
}
