using Microsoft.Extensions.ObjectPool;
using SimpleChat.Wire;

namespace SimpleChat.Queues;

/// <summary>What waits to be passed on over one connection. An idle connection has none: they go round through the <see cref="Pool"/>.</summary>
internal sealed class Outbox : IResettable
{
    /// <summary>A list of receipts that a burst made longer is let go.</summary>
    private const int KeptCapacity = 256;

    /// <summary>Where they are while nobody has anything to say.</summary>
    public static readonly ObjectPool<Outbox> Pool = new DefaultObjectPool<Outbox>(new DefaultPooledObjectPolicy<Outbox>(), maximumRetained: 256);

    /// <summary>For a drain that has nothing to give. Nobody adds to it.</summary>
    public static readonly Outbox Nothing = new();

    /// <summary>Live messages, ids rising.</summary>
    public List<Message> Messages { get; set; } = [];

    /// <summary>What is to be read from the database before any queued message; null if nothing is.</summary>
    public CatchUp? CatchUp { get; set; }

    /// <summary>Receipts for messages that the user sent.</summary>
    public List<Receipt> Receipts { get; } = [];

    /// <summary>Receipts that found no room, and are to be read from the database: their lowest and highest id. Null if all did.</summary>
    public IdRange? MissedReceipts { get; private set; }

    /// <summary>Adds a receipt. Where there is no room, all of them become <see cref="MissedReceipts"/>.</summary>
    /// <param name="receipt">The receipt.</param>
    /// <param name="capacity">How many there may be.</param>
    public void Add(Receipt receipt, int capacity)
    {
        Receipts.Add(receipt);
        if (Receipts.Count <= capacity && MissedReceipts is null)
            return;
        foreach (var missed in Receipts)
            MissedReceipts = IdRange.Around(MissedReceipts, new IdRange(missed.Id, missed.Id));
        Receipts.Clear();
    }

    /// <summary>Empties it for its next use.</summary>
    bool IResettable.TryReset()
    {
        Receipts.Clear();
        Messages.Clear();
        (CatchUp, MissedReceipts) = (null, null);
        return Receipts.Capacity <= KeptCapacity;
    }
}

/// <summary>What a connection that is behind reads from the database next.</summary>
/// <param name="After">Only above this id.</param>
/// <param name="UpTo">Up to this id.</param>
/// <param name="InboxOnly">Whether only what is undelivered, or everything that the user sent or received.</param>
internal readonly record struct CatchUp(long After, long UpTo, bool InboxOnly);
