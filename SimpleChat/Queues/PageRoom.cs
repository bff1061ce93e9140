using SimpleChat.Limits;
using SimpleChat.Settings;

namespace SimpleChat.Queues;

/// <summary>
/// The room for pages: much text that a connection holds while it is written, out of the database or out of its queue. A peer that takes
/// nothing keeps its page, and many of those must not fill the memory. So there is room for a part of the memory; then connections wait for
/// each other. One user's connections get a part of that room, so that they wait for themselves first.
/// </summary>
/// <param name="pages">How many pages may be held at once.</param>
internal sealed class PageRoom(int pages)
{
    /// <summary>The part of the memory that pages may take, and the part of these that one user's connections may take.</summary>
    private const int PartOfMemory = 8, PartOfRoom = 4;

    /// <summary>
    /// How often the largest frame of a page is in memory while its peer takes nothing: where it was written, in the WebSocket's buffer,
    /// and in two batches on their way. Each is as large as a text in which every character takes six bytes of JSON.
    /// </summary>
    private const int Frames = 4, LargestEscape = 6;

    private readonly Lock _gate = new();
    private readonly Queue<Place> _waiting = []; // under _gate
    private int _taken; // under _gate

    /// <summary>As much room as the process's memory allows.</summary>
    /// <param name="pageText">Bytes of text after which a page ends, with the message that fills it.</param>
    /// <param name="options">How large that message may be.</param>
    public static PageRoom For(int pageText, ChatOptions options) => new((int)Math.Clamp(
        GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / PartOfMemory
            / (pageText + (1 + Frames * LargestEscape) * options.MaxMessageBytes), 4, 1_000_000));

    /// <summary>Takes room for one page, if the place has none yet. If there is none, the place is woken when there is.</summary>
    public bool TryTake(Place place)
    {
        lock (_gate)
        {
            place.IsWoken = false;
            if (!place.IsTaken && MayTake(place))
            {
                _taken++;
                place.Share.Pages++;
                place.IsTaken = true;
            }

            if (!place.IsTaken && !place.IsWaiting)
                Enqueue(place);

            return place.IsTaken;
        }
    }

    /// <summary>Gives back the room for one page, if it was taken.</summary>
    public void Return(Place place)
    {
        if (!place.IsTaken)
            return;
        lock (_gate)
        {
            _taken--;
            place.Share.Pages--;
            place.IsTaken = false;
        }

        WakeNext();
    }

    /// <summary>Called when the reader has taken no room this time. If it was woken for it, the next one is woken.</summary>
    public void PassOn(Place place)
    {
        if (!place.IsWoken)
            return;
        lock (_gate)
            place.IsWoken = false;
        WakeNext();
    }

    /// <summary>Gives the place up.</summary>
    public void Leave(Place place)
    {
        lock (_gate)
            place.IsGone = true;
        Return(place);
        PassOn(place);
    }

    private bool HasRoom => _taken < pages;

    /// <summary>Whether there is room for this place's user. The caller holds the gate.</summary>
    private bool MayTake(Place place) => HasRoom && place.Share.Pages < Math.Max(1, pages / PartOfRoom);

    /// <summary>Has the place wait behind the others. The caller holds the gate.</summary>
    private void Enqueue(Place place)
    {
        _waiting.Enqueue(place);
        place.IsWaiting = true;
    }

    /// <summary>Wakes the first that may take room. Those whose user has enough wait on, behind the others.</summary>
    private void WakeNext()
    {
        Place? next = null;
        lock (_gate)
        {
            for (var left = _waiting.Count; left > 0 && HasRoom && next is null; left--)
            {
                var place = _waiting.Dequeue();
                place.IsWaiting = false;
                if (place.IsGone || place.IsTaken) // it has found room by itself
                    continue;
                if (MayTake(place))
                    next = place;
                else
                    Enqueue(place);
            }

            if (next is not null)
                next.IsWoken = true;
        }

        next?.Signal.Set();
    }

    /// <summary>One reader's place in the queue.</summary>
    /// <param name="signal">Wakes it.</param>
    /// <param name="share">Its user's share of the server.</param>
    internal sealed class Place(Signal signal, UserShare share)
    {
        /// <summary>Wakes the reader.</summary>
        public Signal Signal => signal;

        /// <summary>Its user's share of the server.</summary>
        public UserShare Share => share;

        /// <summary>Whether it has room. Set under the room's gate, by its reader alone.</summary>
        public bool IsTaken { get; set; }

        /// <summary>Whether it waits for room. Under the room's gate.</summary>
        public bool IsWaiting { get; set; }

        /// <summary>Whether its reader was woken for room, and has not asked for it since. Under the room's gate.</summary>
        public bool IsWoken { get; set; }

        /// <summary>Whether its reader is gone. Under the room's gate.</summary>
        public bool IsGone { get; set; }
    }
}
