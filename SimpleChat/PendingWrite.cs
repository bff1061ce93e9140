namespace SimpleChat;

/// <summary>
/// Something that waits to be written. It is answered once: <see cref="Committed"/> when it is on disk, or <see cref="Refused"/> when it is not known
/// to be. If it was refused because the disk took too long and is committed after all, both are called, in that order.
/// </summary>
internal abstract class PendingWrite
{
    /// <summary>When it was handed to the writer; <see cref="TimeProvider.GetTimestamp"/>.</summary>
    public long Since { get; set; }

    /// <summary>For whom it is written: it takes room in that user's part of the queue. Null if for nobody in particular.</summary>
    public virtual UserShare? Share => null;

    /// <summary>How many row operations it takes, about; text counts by its pages.</summary>
    public virtual int Cost => 1;

    /// <summary>What left the inbox when it was last written; nobody may have been told.</summary>
    public virtual IReadOnlyList<Receipt> Receipts => [];

    /// <summary>Writes it within the open transaction. On the writer's thread; called again if the transaction had to be repeated.</summary>
    public abstract void Write(MessageTransaction transaction);

    /// <summary>It is on disk. On the writer's thread, in commit order; must not wait.</summary>
    public abstract void Committed();

    /// <summary>It is not known to be stored. On any thread; must not wait.</summary>
    public abstract void Refused();
}
