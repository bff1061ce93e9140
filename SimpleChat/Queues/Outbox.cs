using Microsoft.Extensions.ObjectPool;
using SimpleChat.Wire;

namespace SimpleChat.Queues;

/// <summary>
/// What waits to be passed on over one connection. It is bounded. An idle connection has none; others take one from the
/// <see cref="Pool"/>, and return it. Its owner locks.
/// </summary>
internal sealed class Outbox : IResettable
{
    /// <summary>The most messages in the queue: enough for the burst of one commit, little beside what the kernel buffers.</summary>
    public const int MessageCapacity = 256;

    /// <summary>The most bytes of text in the queue, so that large messages are bounded too. One message alone always fits.</summary>
    public const int TextCapacity = 256 * 1024;

    /// <summary>With more text than this, the queue takes as much memory to write as a page.</summary>
    private const int SmallText = 8 * 1024;

    /// <summary>The most receipts in the queue. They are small, and come in bursts when an inbox is drained.</summary>
    public const int ReceiptCapacity = 4096;

    /// <summary>The outboxes that no connection needs now.</summary>
    public static readonly ObjectPool<Outbox> Pool =
        new DefaultObjectPool<Outbox>(new DefaultPooledObjectPolicy<Outbox>(), maximumRetained: 256);

    /// <summary>An empty one, for a drain that has nothing to give. Nobody adds to it.</summary>
    public static readonly Outbox Nothing = new();

    /// <summary>Live messages, ids rising.</summary>
    public List<Message> Messages { get; private set; } = [];

    /// <summary>What is to be read from the database before any queued message; null if nothing is.</summary>
    public CatchUp? CatchUp { get; set; }

    /// <summary>Receipts for messages that the user sent.</summary>
    public List<Receipt> Receipts { get; } = [];

    /// <summary>
    /// The receipts that found no room, from the lowest to the highest id. They are to be read from the database. Null if all found room.
    /// </summary>
    public IdRange? MissedReceipts { get; private set; }

    /// <summary>Bytes of text of the messages that were added.</summary>
    public int TextLength { get; private set; }

    /// <summary>Whether the messages take room in <see cref="PageRoom"/>.</summary>
    public bool NeedsRoom => TextLength > SmallText;

    /// <summary>Queues a message. If there is no room, all queued messages are dropped, and this one too.</summary>
    /// <returns>False if they were dropped. Then the messages up to this one are to be read from the database.</returns>
    public bool TryQueue(Message message)
    {
        TextLength += message.Text.Length;
        if (Messages.Count < MessageCapacity && (TextLength <= TextCapacity || Messages.Count == 0))
        {
            Messages.Add(message);
            return true;
        }

        DropMessages();
        return false;
    }

    /// <summary>Adds messages out of the database.</summary>
    public void Add(IEnumerable<Message> page)
    {
        foreach (var message in page)
        {
            Messages.Add(message);
            TextLength += message.Text.Length;
        }
    }

    public void DropMessages()
    {
        Messages.Clear();
        TextLength = 0;
    }

    /// <summary>Drops queued messages up to this position, because they were read from the database already.</summary>
    public void DropPassed(long position)
    {
        var passed = 0;
        while (passed < Messages.Count && Messages[passed].Id <= position)
            passed++;
        Messages.RemoveRange(0, passed);
    }

    /// <summary>Moves the queued messages to another outbox, which is empty.</summary>
    public void MoveMessagesTo(Outbox other)
    {
        (Messages, other.Messages) = (other.Messages, Messages);
        (TextLength, other.TextLength) = (0, TextLength);
    }

    /// <summary>Adds a receipt. If there is no room, all of them become <see cref="MissedReceipts"/>.</summary>
    public void Add(Receipt receipt)
    {
        Receipts.Add(receipt);
        if (Receipts.Count <= ReceiptCapacity && MissedReceipts is null)
            return;
        foreach (var missed in Receipts)
            MissedReceipts = IdRange.Around(MissedReceipts, new IdRange(missed.Id, missed.Id));
        Receipts.Clear();
    }

    /// <summary>Receipts in this range may not have come here: they are <see cref="MissedReceipts"/> too.</summary>
    public void Miss(IdRange range) => MissedReceipts = IdRange.Around(MissedReceipts, range);

    /// <summary>Empties it for its next use. One whose list of receipts became long in a burst is not kept.</summary>
    bool IResettable.TryReset()
    {
        DropMessages();
        Receipts.Clear();
        (CatchUp, MissedReceipts) = (null, null);
        return Receipts.Capacity <= MessageCapacity;
    }
}

/// <summary>What a connection that is behind reads from the database next: the ids above the one, up to the other.</summary>
/// <param name="InboxOnly">Whether only what is undelivered, or everything that the user sent or received.</param>
internal readonly record struct CatchUp(long After, long UpTo, bool InboxOnly);
