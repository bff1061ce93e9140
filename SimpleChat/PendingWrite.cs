namespace SimpleChat;

/// <summary>
/// Something that waits to be written. It is answered once: <see cref="Committed"/> when it is on disk, or <see cref="Refused"/> when it is not known
/// to be. If it was refused because the disk took too long and is committed after all, both are called, in that order.
/// </summary>
internal abstract class PendingWrite
{
    /// <summary>When it was handed to the writer; <see cref="TimeProvider.GetTimestamp"/>.</summary>
    public long Since { get; set; }

    /// <summary>How much of the queue's bound it takes, in bytes.</summary>
    public virtual int Size => 0;

    /// <summary>Whether it stays in the queue while storage fails, instead of being refused. Only what takes no part of the bound may.</summary>
    public virtual bool IsPatient => false;

    /// <summary>Writes it within the open transaction. On the writer's thread; called again if the transaction had to be repeated.</summary>
    public abstract void Write(MessageTransaction transaction);

    /// <summary>It is on disk. On the writer's thread, in commit order; must not wait.</summary>
    public abstract void Committed();

    /// <summary>It is not known to be stored. On any thread; must not wait.</summary>
    public abstract void Refused();
}
