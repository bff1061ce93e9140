namespace SimpleChat;

/// <summary>
/// The room for pages that connections hold while they catch up, from read to written. A reader that takes nothing keeps its page, and any number of those
/// must not fill the memory: what all hold together follows the memory there is. Beyond it they wait for each other.
/// </summary>
/// <param name="pages">Pages that may be held at once.</param>
internal sealed class PageRoom(int pages)
{
    /// <summary>The part of the memory that pages may take.</summary>
    private const int PartOfMemory = 8;

    private readonly Lock _gate = new();
    private readonly Queue<Drain> _waiting = []; // under _gate, and so is Drain.WaitsForRoom
    private int _free = pages;

    /// <summary>As much room as the process's memory allows.</summary>
    /// <param name="options">How large a message may be: a page ends with the message that fills it.</param>
    public static PageRoom For(ChatOptions options) => new((int)Math.Clamp(
        GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / PartOfMemory / (MessageStore.PageText + options.MaxMessageBytes), 4, 1_000_000));

    /// <summary>Takes room for one page. If there is none, the drain's connection is woken when there is.</summary>
    public bool TryTake(Drain drain)
    {
        lock (_gate)
        {
            if (_free > 0)
            {
                _free--;
                return true;
            }

            if (!drain.WaitsForRoom)
                _waiting.Enqueue(drain);
            drain.WaitsForRoom = true;
            return false;
        }
    }

    /// <summary>Gives back the room for one page.</summary>
    public void Return()
    {
        lock (_gate)
            _free++;
        WakeNext();
    }

    /// <summary>Wakes whoever is next, if there is room. Called also by a drain that ends: it may have been woken in vain.</summary>
    public void WakeNext()
    {
        Drain? next = null;
        lock (_gate)
        {
            while (_free > 0 && next is null && _waiting.TryDequeue(out var drain))
            {
                drain.WaitsForRoom = false;
                next = drain.Connection.Ending is null ? drain : null;
            }
        }

        next?.Connection.Wake();
    }
}
