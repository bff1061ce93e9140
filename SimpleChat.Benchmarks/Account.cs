namespace SimpleChat.Benchmarks;

/// <summary>
/// What one sender sent, heard confirmed, and what arrived of it. Counts and running hashes stand for the whole lists: order and ids go
/// into the hashes, so that two equal ones mean the same messages in the same order. Each field is written by one socket's callbacks alone.
/// </summary>
/// <param name="sender">Number of the sender, as in the text.</param>
/// <param name="recipient">The one user it writes to.</param>
internal sealed class Account(int sender, string recipient)
{
    private long _lastConfirmed;
    private ulong _confirmedHash, _arrivedHash;
    private long _confirmedSum, _deliveredSum;

    public string Recipient => recipient;

    public long Sent;

    public long Confirmed;

    public long Arrived;

    public long Delivered;

    public void Confirm(long id)
    {
        if (id <= _lastConfirmed)
            throw new NotProvenException($"confirmed id {id} came after {_lastConfirmed}");
        _lastConfirmed = id;
        _confirmedHash = Mix(_confirmedHash, id);
        _confirmedSum += id;
        Confirmed++;
    }

    /// <summary>
    /// The sender's message <paramref name="number"/>, with this <paramref name="id"/>, came to the user <paramref name="at"/>.
    /// </summary>
    /// <exception cref="NotProvenException">It is not the next one, or came to somebody else.</exception>
    public void Arrive(long id, long number, string at)
    {
        if (at != recipient)
            throw new NotProvenException($"message {id} was for {recipient}");
        if (number != Arrived + 1)
            throw new NotProvenException(
                $"message {number} of sender {sender} came after {Arrived}: a {(number <= Arrived ? "repeat" : "gap")}");
        _arrivedHash = Mix(_arrivedHash, id);
        Arrived++;
    }

    public void Deliver(long id)
    {
        _deliveredSum += id; // receipts may overtake each other; the sum doesn't mind
        Delivered++;
    }

    /// <summary>Everything sent has come to its end.</summary>
    public bool IsSettled(bool arrived, bool receipts) =>
        Confirmed == Sent && (!arrived || Arrived == Sent) && (!receipts || Delivered == Sent);

    /// <summary>Proves that what was confirmed is what arrived, and what receipts came for.</summary>
    public void Prove(bool receipts)
    {
        if (Arrived != Confirmed || _arrivedHash != _confirmedHash)
            throw new NotProvenException(
                $"sender {sender}: what arrived ({Arrived}) is not what was confirmed ({Confirmed}), or has other ids.");
        if (receipts && (Delivered != Confirmed || _deliveredSum != _confirmedSum))
            throw new NotProvenException($"sender {sender}: receipts ({Delivered}) are not for what was confirmed ({Confirmed}).");
    }

    public override string ToString() => $"sender {sender}: sent {Sent}, confirmed {Confirmed}, arrived {Arrived}, receipts {Delivered}";

    private static ulong Mix(ulong hash, long id) => (hash ^ (ulong)id) * 0x9e3779b97f4a7c15;
}
