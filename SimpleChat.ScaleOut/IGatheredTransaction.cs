using SimpleChat.Storage;

namespace SimpleChat.ScaleOut;

/// <summary>
/// A transaction that gathers what is written, and has somebody else commit it in one call. Until then it does nothing, so that there is
/// nothing to undo. After a call that failed it is not known what was committed.
/// </summary>
internal interface IGatheredTransaction : ITransaction
{
    /// <summary>Nothing to gather: a batch of nothing is committed too.</summary>
    void ITransaction.Touch()
    {
    }

    void ITransaction.Rollback()
    {
    }

    /// <summary>Receipts come with the commit, or are read again by whoever may have missed them.</summary>
    bool ITransaction.IsInInbox(string user, long id) => true;

    /// <summary>No single write is refused: whatever can be wrong with one was checked before.</summary>
    bool ITransaction.IsStorageFault(Exception e) => true;

    void ITransaction.Finish()
    {
    }
}
