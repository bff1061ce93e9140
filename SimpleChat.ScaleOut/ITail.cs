using SimpleChat.Storage;

namespace SimpleChat.ScaleOut;

/// <summary>Reads the end of the database, whomever it concerns. Throws what <see cref="StorageFault"/> knows.</summary>
internal interface ITail
{
    /// <summary>Reads how far the database is: the highest id that was ever given out, which is committed, and what it shows.</summary>
    ValueTask<(long LastId, Snapshot Shown)> LookAsync();

    /// <summary>Reads a page of everybody's messages above <paramref name="after"/> up to <paramref name="upTo"/>, oldest first.</summary>
    /// <param name="after">Only above this id.</param>
    /// <param name="upTo">Only up to this id, which is committed.</param>
    /// <param name="limit">How many at most.</param>
    ValueTask<Page> ReadTailAsync(long after, long upTo, int limit);
}
