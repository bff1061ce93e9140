using SimpleChat.Limits;
using SimpleChat.Queues;
using SimpleChat.Wire;

namespace SimpleChat;

/// <summary>
/// One open line of a user's, whatever carries it. Anybody puts in (<see cref="Offer"/>, <see cref="Tell"/>), and never waits. One
/// <see cref="Drain"/> takes out (<see cref="Take"/>).
/// <para>
/// Messages come in id order from two sources. Up to the mark they are read from the database; above it they are queued here. A new
/// connection starts behind its mark. A slow reader falls behind again: when its queue is full, the queue is dropped and the mark moves
/// up. Nothing is lost, because everything was stored before it was offered.
/// </para>
/// </summary>
/// <param name="share">What its user may use of the server.</param>
/// <param name="messagesOnly">Whether it carries messages alone, and no receipts.</param>
internal sealed class Connection(UserShare share, bool messagesOnly = false)
{
    private readonly Lock _gate = new();

    // Under _gate.
    private Outbox? _waiting; // null while nothing waits
    private long _position; // everything up to here was passed on, or need not be
    private long _inboxUpTo; // up to here only what is undelivered is read; above it everything that concerns the user
    private long _mark; // everything up to here is read from the database
    private bool _isTaken; // the drain has messages out of the queue in hand
    private OwnMessages? _own; // sent over this connection, above _position
    private ConnectionEnd? _end;

    /// <summary>What its user may use of the server.</summary>
    public UserShare Share => share;

    /// <summary>Whose line it is.</summary>
    public string User => share.User;

    /// <summary>
    /// Whether somebody is there at its end: the user is online by it, and it counts towards <c>Chat:ConnectionsPerUser</c>. If not,
    /// messages wake it and are not queued.
    /// </summary>
    public bool IsAttended { get; init; } = true;

    /// <summary>Wakes the drain when there may be something to take.</summary>
    public Signal Signal { get; } = new();

    /// <summary>Everything up to this id was passed on, or need not be. Ids up to here never come again.</summary>
    public long Position { get { lock (_gate) return _position; } }

    /// <summary>How far the drain must read from the database before the queue is next. Behind means: the position is below.</summary>
    public long Mark { get { lock (_gate) return _mark; } }

    /// <summary>Why the connection ends; null as long as it doesn't.</summary>
    public ConnectionEnd? Ending { get { lock (_gate) return _end; } }

    /// <summary>Starts the line, just put into the map.</summary>
    /// <param name="position">The client has everything up to this id.</param>
    /// <param name="inboxUpTo">Up to this id, only what is undelivered comes.</param>
    /// <param name="committed">Up to this id, messages are read from the database; later ones are offered.</param>
    public void StartBehind(long position, long inboxUpTo, long committed)
    {
        lock (_gate)
        {
            (_position, _inboxUpTo) = (position, inboxUpTo);
            _mark = Math.Max(_mark, committed);
        }

        Signal.Set();
    }

    /// <summary>Something up to <paramref name="committed"/> may not have been offered: it is read from the database.</summary>
    public void FallBehind(long committed)
    {
        lock (_gate)
        {
            _waiting?.DropMessages();
            _own?.EndSpan();
            _mark = Math.Max(_mark, committed);
        }

        Signal.Set();
    }

    /// <summary>A message was committed that concerns the user. Called in id order.</summary>
    public void Offer(Message message)
    {
        lock (_gate)
        {
            if (_end is not null)
                return;
            if (IsAttended)
                Queue(message);
        }

        Signal.Set();
    }

    /// <summary>
    /// This connection sent the message itself: it was answered, and need not be told. Called in id order, like <see cref="Offer"/>. If
    /// something is still before it, it is left out when its turn comes.
    /// </summary>
    public void Skip(long id)
    {
        lock (_gate)
        {
            if (HasEverything)
                _position = id;
            else
                (_own ??= new OwnMessages()).Add(id);
        }
    }

    /// <summary>A message that the user sent has left the recipient's inbox.</summary>
    public void Tell(Receipt receipt)
    {
        lock (_gate)
        {
            if (_end is not null || messagesOnly)
                return;
            Waiting.Add(receipt);
        }

        Signal.Set();
    }

    /// <summary>Ends the connection, for the first reason given: nothing more is read or pushed; what was read is still answered.</summary>
    public void End(ConnectionEnd end)
    {
        lock (_gate)
            _end ??= end;
        Signal.Set();
    }

    /// <summary>
    /// What waits, perhaps nothing; it goes back to <see cref="Outbox.Pool"/> when it was passed on. While the connection is behind,
    /// queued messages stay, and the outbox says what to read first. Once the connection ends there are no messages.
    /// </summary>
    public Outbox Take()
    {
        lock (_gate)
        {
            var outbox = Waiting;
            _waiting = null;
            if (_end is not null)
            {
                outbox.DropMessages();
            }
            else if (_position < _mark)
            {
                var inboxOnly = _position < _inboxUpTo;
                outbox.CatchUp = new CatchUp(_position, inboxOnly ? Math.Min(_mark, _inboxUpTo) : _mark, inboxOnly);
                if (outbox.Messages.Count > 0)
                    outbox.MoveMessagesTo(Waiting);
            }
            else
            {
                outbox.DropPassed(_position); // it was committed while the connection joined or caught up
                _isTaken = outbox.Messages.Count > 0;
            }

            return outbox;
        }
    }

    /// <summary>Everything up to <paramref name="upTo"/> was passed on.</summary>
    public void Passed(long upTo)
    {
        lock (_gate)
        {
            _isTaken = false;
            _position = Math.Max(_position, upTo);
            if (_own is not null && HasEverything)
                _position = Math.Max(_position, _own.Last);
            if (_own?.AreAbove(_position) == false)
                _own = null;
        }
    }

    /// <summary>Whether the message was sent over this very connection, and is not told over it.</summary>
    public bool IsOwn(Message message)
    {
        if (message.From != User || message.To == User)
            return false;
        lock (_gate)
            return _own?.Contain(message.Id) == true;
    }

    private void Queue(Message message)
    {
        if (message.From == User)
            _own?.EndSpan(); // sent from elsewhere
        if (!Waiting.TryQueue(message))
            _mark = message.Id;
    }

    /// <summary>Whether nothing is to be read, nothing queued and nothing in the drain's hands.</summary>
    private bool HasEverything => _position >= _mark && !_isTaken && _waiting is not { Messages.Count: > 0 };

    private Outbox Waiting => _waiting ??= Outbox.Pool.Get();
}
