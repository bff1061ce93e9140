using SimpleChat.Limits;
using SimpleChat.Monitoring;

namespace SimpleChat.Storage;

/// <summary>
/// A unit of work for the <see cref="Writer"/>, which calls <see cref="Apply"/> within a transaction. Then it calls
/// <see cref="Committed"/> when the work is on disk, or <see cref="Unconfirmed"/> when that is not known. If the disk is too slow, it may
/// call both: first Unconfirmed, and then Committed after all.
/// </summary>
internal abstract class Write
{
    private int _answered;

    /// <summary>When it was enqueued: a <see cref="TimeProvider.GetTimestamp"/>. Only the queue uses this.</summary>
    public long Since { get; set; }

    /// <summary>The user whose part of the queue it takes; null if it is no user's.</summary>
    public virtual UserShare? Share => null;

    /// <summary>Roughly how many row operations it takes.</summary>
    public virtual int Cost => 1;

    /// <summary>Whether the sender was answered: see <see cref="TryAnswer"/>.</summary>
    protected bool IsAnswered => Volatile.Read(ref _answered) != 0;

    /// <summary>
    /// Writes within the open transaction. Results are there when it is committed. Called on the writer's thread, and again if the
    /// transaction is repeated.
    /// </summary>
    public abstract void Apply(ITransaction db);

    /// <summary>Called when the write is on disk, on the writer's thread and in commit order. Must not wait.</summary>
    public abstract void Committed();

    /// <summary>Called when it is not known whether the write is on disk, on any thread. Must not wait.</summary>
    public abstract void Unconfirmed();

    /// <summary>
    /// Called when the commit failed and storage works again, on the writer's thread. The write may be on disk all the same, and can find
    /// out now.
    /// </summary>
    public virtual void Recover(ITransaction db)
    {
    }

    /// <summary>Adds the write to the commit's trace. Called before it is answered, and only while somebody listens.</summary>
    public virtual void Trace(CommitTrace commit)
    {
    }

    /// <summary>Returns true the first time, and false afterwards. So the sender is answered once.</summary>
    protected bool TryAnswer() => Interlocked.Exchange(ref _answered, 1) == 0;
}

/// <summary>A write whose caller awaits it: see <see cref="Writer.WriteAsync"/>.</summary>
internal sealed class AwaitedWrite(Action<ITransaction> apply, int cost, UserShare? share, Action? committed) : Write
{
    private readonly TaskCompletionSource<bool> _written = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Completes with true when the write is on disk, and with false when that is not known.</summary>
    public Task<bool> Written => _written.Task;

    public override UserShare? Share => share;

    public override int Cost => cost;

    public override void Apply(ITransaction db) => apply(db);

    public override void Committed()
    {
        committed?.Invoke();
        _written.TrySetResult(true);
    }

    public override void Unconfirmed() => _written.TrySetResult(false);
}
