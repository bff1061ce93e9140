using System.Diagnostics;

namespace SimpleChat.ScaleOut;

/// <summary>
/// Brings commits of all nodes to the connections of this one, in order of their ids and each once. Ids are contiguous: who has seen all up
/// to some id knows whether one is missing. What comes early is held, what does not come is read, and what comes again is dropped. So
/// whoever announces commits may lose, double and reorder them.
/// <para>
/// Announcements come in with <see cref="Add"/>, on any thread. What was read from the database comes in with <see cref="AddRead"/>. It
/// never waits for anybody.
/// </para>
/// </summary>
/// <param name="offer">Offers a commit to this node's connections. Called in order of ids; must not wait.</param>
/// <param name="time">The clock.</param>
internal sealed class CommitChain(Action<Commit> offer, TimeProvider time)
{
    /// <summary>Commits that are held at most. Beyond them other nodes' are dropped, and read later.</summary>
    private const int Capacity = 16 * 1024;

    private readonly Lock _gate = new();

    // Guarded by _gate.
    private readonly Dictionary<long, Commit> _held = []; // above _known + 1
    private long _known;
    private long _heldSince; // when something was first missing: a timestamp
    private long _heardAt; // when another node's commit was added last: a timestamp, 0 for never
    private long _begun, _done, _lastOwn; // commits of this node, and the id up to which they are expected
    private bool _isOwnUnderWay;

    /// <summary>Every commit up to this id was offered. It rises before a commit is offered, so that whoever joins misses none.</summary>
    public long Known => Volatile.Read(ref _known);

    /// <summary>Called once at the start: what was committed before is not offered.</summary>
    public void StartAt(long known)
    {
        lock (_gate)
            Volatile.Write(ref _known, Math.Max(_known, known));
    }

    /// <summary>A message was committed, by this node or another.</summary>
    public void Add(Commit commit)
    {
        lock (_gate)
        {
            if (!commit.IsOwn)
                _heardAt = time.GetTimestamp();
            if (commit.Id == _known + 1)
            {
                Offer(commit);
                OfferHeld();
            }
            else if (commit.Id > _known)
            {
                Hold(commit);
            }

            if (commit.IsOwn && commit.Id >= _lastOwn)
                OwnIsDone();
        }
    }

    /// <summary>All that was committed above some id, which was <see cref="Known"/> before it was read.</summary>
    /// <param name="messages">The messages, ids rising. Erased ones are missing.</param>
    /// <param name="upTo">There is no other message up to this id.</param>
    public void AddRead(IEnumerable<Message> messages, long upTo)
    {
        lock (_gate)
        {
            foreach (var message in messages.Where(message => message.Id <= upTo))
            {
                if (message.Id > _known) // what is held knows more than the database: over which connection it came
                    Offer(_held.Remove(message.Id, out var held) && held.IsOwn ? held : new Commit(message));
            }

            if (upTo > _known)
                Volatile.Write(ref _known, upTo);
            foreach (var id in _held.Keys.Where(id => id <= upTo).ToList())
                _held.Remove(id);
            OfferHeld();
        }
    }

    /// <summary>The range of ids that something held has waited for, for so long; null if there is none.</summary>
    public (long After, long UpTo)? Missing(TimeSpan patience)
    {
        lock (_gate)
        {
            return _held.Count > 0 && time.GetElapsedTime(_heldSince) >= patience ? (_known, _held.Keys.Min() - 1) : null;
        }
    }

    /// <summary>Whether another node's commit was added within this time.</summary>
    public bool HasHeard(TimeSpan within)
    {
        lock (_gate)
            return _heardAt != 0 && time.GetElapsedTime(_heardAt) < within;
    }

    /// <summary>Called when this node sends a batch: until it is known what was committed, nothing is read past it.</summary>
    public void CommitBegins()
    {
        lock (_gate)
        {
            _begun++;
            (_isOwnUnderWay, _lastOwn) = (true, long.MaxValue);
        }
    }

    /// <summary>Called when PostgreSQL has answered.</summary>
    /// <param name="last">The highest new id, which is added next; 0 if there is none, or if that is not known.</param>
    public void CommitEnds(long last)
    {
        lock (_gate)
        {
            _lastOwn = last;
            if (last == 0)
                OwnIsDone();
        }
    }

    /// <summary>How many commits of this node have begun. Whoever has looked at the database notes it afterwards.</summary>
    public long Begun
    {
        get
        {
            lock (_gate)
                return _begun;
        }
    }

    /// <summary>
    /// Whether all commits of this node are added that had begun then. Before that, a message of this node may be read that its own
    /// connection has sent and would get back.
    /// </summary>
    public bool HasAdded(long begun)
    {
        lock (_gate)
            return _done >= begun;
    }

    private void Offer(Commit commit)
    {
        Volatile.Write(ref _known, commit.Id); // first: who joins in between reads this one from the database
        offer(commit);
    }

    private void OfferHeld()
    {
        while (_held.Remove(_known + 1, out var commit))
        {
            Offer(commit);
            _heldSince = time.GetTimestamp();
        }
    }

    private void Hold(Commit commit)
    {
        if (_held.Count == 0)
            _heldSince = time.GetTimestamp();
        if (commit.IsOwn)
            _held[commit.Id] = commit;
        else if (_held.Count < Capacity)
            _held.TryAdd(commit.Id, commit);
    }

    private void OwnIsDone()
    {
        if (_isOwnUnderWay)
            (_isOwnUnderWay, _done) = (false, _begun);
    }
}

/// <summary>A committed message, as a node hears of it.</summary>
/// <param name="Id">Its id.</param>
/// <param name="From">Its sender.</param>
/// <param name="To">Its recipient.</param>
/// <param name="Message">The message; null if it has to be read from the database.</param>
/// <param name="IsOwn">Whether this node committed it.</param>
/// <param name="Origin">The connection of this node that it came over; null if there is none.</param>
internal sealed record Commit(long Id, string From, string To, Message? Message, bool IsOwn = false, Connection? Origin = null)
{
    /// <summary>A message out of the database, or out of an announcement.</summary>
    public Commit(Message message)
        : this(message.Id, message.From, message.To, message)
    {
    }

    /// <summary>The message's trace, which goes along to other nodes; the default if it has none.</summary>
    public ActivityContext Trace { get; init; }
}
