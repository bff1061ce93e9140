using Microsoft.Extensions.ObjectPool;
using SimpleChat.Wire;

namespace SimpleChat.Queues;

/// <summary>
/// What waits to be passed on over one connection, bounded. An idle connection has none: they go round through the <see cref="Pool"/>.
/// Its owner locks.
/// </summary>
internal sealed class Outbox : IResettable
{
    /// <summary>Messages queued at most: enough for the burst of one commit, small beside what the kernel buffers.</summary>
    public const int MessageCapacity = 256;

    /// <summary>Bytes of text queued at most, so that large messages are bounded too. One message alone always fits.</summary>
    public const int TextCapacity = 256 * 1024;

    /// <summary>Receipts queued at most. They are small, and come in bursts when an inbox is drained.</summary>
    public const int ReceiptCapacity = 4096;

    /// <summary>Where they are while nobody has anything to say.</summary>
    public static readonly ObjectPool<Outbox> Pool =
        new DefaultObjectPool<Outbox>(new DefaultPooledObjectPolicy<Outbox>(), maximumRetained: 256);

    /// <summary>For a drain that has nothing to give. Nobody adds to it.</summary>
    public static readonly Outbox Nothing = new();

    private int _textLength;

    /// <summary>Live messages, ids rising.</summary>
    public List<Message> Messages { get; private set; } = [];

    /// <summary>What is to be read from the database before any queued message; null if nothing is.</summary>
    public CatchUp? CatchUp { get; set; }

    /// <summary>Receipts for messages that the user sent.</summary>
    public List<Receipt> Receipts { get; } = [];

    /// <summary>
    /// Receipts that found no room, and are to be read from the database: from the lowest to the highest id. Null if all did.
    /// </summary>
    public IdRange? MissedReceipts { get; private set; }

    /// <summary>Queues a message. Where there is no room, all queued messages are dropped, this one too.</summary>
    /// <returns>False if they were dropped: up to this one, they are to be read from the database.</returns>
    public bool TryQueue(Message message)
    {
        _textLength += message.Text.Length;
        if (Messages.Count < MessageCapacity && (_textLength <= TextCapacity || Messages.Count == 0))
        {
            Messages.Add(message);
            return true;
        }

        DropMessages();
        return false;
    }

    /// <summary>Forgets all queued messages.</summary>
    public void DropMessages()
    {
        Messages.Clear();
        _textLength = 0;
    }

    /// <summary>Forgets queued messages up to this position: they came out of the database already.</summary>
    public void DropPassed(long position)
    {
        var passed = 0;
        while (passed < Messages.Count && Messages[passed].Id <= position)
            passed++;
        Messages.RemoveRange(0, passed);
    }

    /// <summary>The queued messages wait on in another, empty one.</summary>
    public void MoveMessagesTo(Outbox other)
    {
        (Messages, other.Messages) = (other.Messages, Messages);
        (_textLength, other._textLength) = (0, _textLength);
    }

    /// <summary>Adds a receipt. Where there is no room, all of them become <see cref="MissedReceipts"/>.</summary>
    public void Add(Receipt receipt)
    {
        Receipts.Add(receipt);
        if (Receipts.Count <= ReceiptCapacity && MissedReceipts is null)
            return;
        foreach (var missed in Receipts)
            MissedReceipts = IdRange.Around(MissedReceipts, new IdRange(missed.Id, missed.Id));
        Receipts.Clear();
    }

    /// <summary>Empties it for its next use. A list of receipts that a burst made long is let go.</summary>
    bool IResettable.TryReset()
    {
        DropMessages();
        Receipts.Clear();
        (CatchUp, MissedReceipts) = (null, null);
        return Receipts.Capacity <= MessageCapacity;
    }
}

/// <summary>What a connection that is behind reads from the database next.</summary>
/// <param name="After">Only above this id.</param>
/// <param name="UpTo">Up to this id.</param>
/// <param name="InboxOnly">Whether only what is undelivered, or everything that the user sent or received.</param>
internal readonly record struct CatchUp(long After, long UpTo, bool InboxOnly);
