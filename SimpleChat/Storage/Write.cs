using SimpleChat.Limits;

namespace SimpleChat.Storage;

/// <summary>
/// Something that waits to be written. The <see cref="Writer"/> calls <see cref="Store"/> within a transaction, then <see cref="Stored"/>
/// when it is on disk, or <see cref="Refused"/> when it is not known to be. A disk that is too slow may have both called, in that order:
/// first refused, then stored after all.
/// </summary>
internal abstract class Write
{
    private int _answered;

    /// <summary>When it was handed to the writer; <see cref="TimeProvider.GetTimestamp"/>. The queue's own.</summary>
    public long Since { get; set; }

    /// <summary>Whose part of the queue it takes room in; null for nobody's.</summary>
    public virtual UserShare? Share => null;

    /// <summary>How many row operations it takes, about.</summary>
    public virtual int Cost => 1;

    /// <summary>Whether it was answered: see <see cref="TryAnswer"/>.</summary>
    protected bool IsAnswered => Volatile.Read(ref _answered) != 0;

    /// <summary>Writes it within the open transaction. On the writer's thread; called again if the transaction was repeated.</summary>
    public abstract void Store(Transaction db);

    /// <summary>It is on disk. On the writer's thread, in commit order; must not wait.</summary>
    public abstract void Stored();

    /// <summary>It is not known to be stored. On any thread; must not wait.</summary>
    public abstract void Refused();

    /// <summary>Its commit failed, and storage works again. What is on disk all the same can be seen now. On the writer's thread.</summary>
    public virtual void Recover(Transaction db)
    {
    }

    /// <summary>True once, for whoever answers first.</summary>
    protected bool TryAnswer() => Interlocked.Exchange(ref _answered, 1) == 0;
}

/// <summary>A write that can be awaited.</summary>
/// <param name="share">Whose part of the queue it takes room in; null for nobody's.</param>
internal abstract class AwaitedWrite(UserShare? share = null) : Write
{
    private readonly TaskCompletionSource<bool> _written = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Completes with true when it is on disk, with false when it is not known to be.</summary>
    public Task<bool> Written => _written.Task;

    public override UserShare? Share => share;

    public override void Stored() => _written.TrySetResult(true);

    public override void Refused() => _written.TrySetResult(false);
}
