using SimpleChat.Limits;
using SimpleChat.Queues;
using SimpleChat.Wire;

namespace SimpleChat;

/// <summary>
/// One open connection of a user, over any transport. The audience puts messages and receipts in (<see cref="Offer"/>,
/// <see cref="Tell"/>), and never waits. A <see cref="Drain"/> takes them out (<see cref="Take"/>).
/// <para>
/// Messages come in id order from two sources. Up to the mark they are read from the database; above it they are queued here. A new
/// connection starts behind its mark. A slow reader falls behind again: when its queue is full, the queue is dropped and the mark moves
/// up. Nothing is lost, because everything was stored before it was offered.
/// </para>
/// </summary>
/// <param name="messagesOnly">Whether it carries messages alone, and no receipts.</param>
internal sealed class Connection(UserShare share, bool messagesOnly = false)
{
    private readonly Lock _gate = new();

    // Guarded by _gate.
    private Outbox? _waiting; // null while nothing waits
    private long _position; // everything up to here was passed on, or was sent over this very connection
    private long _inboxUpTo; // up to here it reads only what is undelivered; above it also what its user sent elsewhere
    private long _mark; // everything up to here is read from the database
    private bool _drainHolds; // the drain has taken queued messages, and not passed them on yet
    private OwnMessages? _own; // sent over this connection, above _position
    private ConnectionEnd? _end;

    public UserShare Share => share;

    public string User => share.User;

    /// <summary>
    /// Whether a client is connected: the user is online by it, and it counts towards <c>Chat:ConnectionsPerUser</c>. If not, as with a
    /// webhook, nothing is queued: messages only wake it, and its transport reads the inbox.
    /// </summary>
    public bool IsAttended { get; init; } = true;

    /// <summary>Wakes the drain when there may be something to take.</summary>
    public Signal Signal { get; } = new();

    /// <summary>Everything up to this id was passed on, or was sent over this connection.</summary>
    public long Position { get { lock (_gate) return _position; } }

    /// <summary>Messages up to this id come from the database, later ones from the queue. A position below it means: behind.</summary>
    public long Mark { get { lock (_gate) return _mark; } }

    /// <summary>Why the connection is ending; null while it is open.</summary>
    public ConnectionEnd? Ending { get { lock (_gate) return _end; } }

    /// <summary><see cref="Chat.JoinAsync"/> calls this once, after the audience has added the connection.</summary>
    /// <param name="position">The client has everything up to this id.</param>
    /// <param name="inboxUpTo">Up to this id only undelivered messages come; above it everything that the user sends or receives.</param>
    /// <param name="committed">Up to this id, messages are read from the database; later ones are offered.</param>
    public void StartBehind(long position, long inboxUpTo, long committed)
    {
        lock (_gate)
        {
            (_position, _inboxUpTo) = (position, inboxUpTo);
            _mark = Math.Max(_mark, committed); // the queue may have been full before, and have raised it further
        }

        Signal.Set();
    }

    /// <summary>The audience may have missed messages up to <paramref name="committed"/>: they are read from the database.</summary>
    /// <param name="withReceipts">Whether receipts may be missing too, for what the user sent since this connection joined.</param>
    public void FallBehind(long committed, bool withReceipts = false)
    {
        lock (_gate)
        {
            _waiting?.DropMessages();
            _own?.EndSpan();
            _mark = Math.Max(_mark, committed);
            if (withReceipts && !messagesOnly)
                Waiting.Miss(new IdRange(_inboxUpTo + 1, committed));
        }

        Signal.Set();
    }

    /// <summary>A message was committed that concerns the user. Called in id order.</summary>
    public void Offer(Message message)
    {
        lock (_gate)
        {
            if (_end is null && IsAttended)
                Queue(message);
        }

        Signal.Set();
    }

    /// <summary>
    /// This connection sent the message itself and got <c>sent</c> instead. Called in id order, like <see cref="Offer"/>. If earlier
    /// messages are still to come, the id is remembered, and the message left out later.
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
            if (_end is null && !messagesOnly)
                Waiting.Add(receipt);
        }

        Signal.Set();
    }

    /// <summary>Ends the connection, for the first reason given. No more frames are accepted, no more messages are pushed.</summary>
    public void End(ConnectionEnd end)
    {
        lock (_gate)
            _end ??= end;
        Signal.Set();
    }

    /// <summary>
    /// The drain takes what waits, perhaps nothing, and returns it to <see cref="Outbox.Pool"/> later. While the connection is behind,
    /// queued messages stay, and the outbox says what to read first. Much text stays until there is room. After the end there are none.
    /// </summary>
    public Outbox Take(PageRoom.Place place)
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
            else if (outbox.NeedsRoom && !place.TryTake())
            {
                outbox.MoveMessagesTo(Waiting);
            }
            else
            {
                outbox.DropPassed(_position); // they came out of the database too, and were passed on
                _drainHolds = outbox.Messages.Count > 0;
            }

            return outbox;
        }
    }

    /// <summary>Everything up to <paramref name="upTo"/> was passed on.</summary>
    public void Passed(long upTo)
    {
        lock (_gate)
        {
            _drainHolds = false;
            _position = Math.Max(_position, upTo);
            if (_own is not null && HasEverything)
                _position = Math.Max(_position, _own.Last);
            if (_own?.AreAbove(_position) == false)
                _own = null;
        }
    }

    /// <summary>Whether the message was sent over this very connection, and so is not sent back.</summary>
    public bool IsOwn(Message message)
    {
        lock (_gate)
            return message.From == User && message.To != User && _own?.Contain(message.Id) == true;
    }

    private void Queue(Message message)
    {
        if (message.From == User)
            _own?.EndSpan(); // sent over another connection of this user
        if (!Waiting.TryQueue(message)) // it was full, and has dropped all: the drain reads them from the database
            _mark = message.Id;
    }

    /// <summary>Whether nothing is to be read, nothing queued and nothing in the drain's hands.</summary>
    private bool HasEverything => _position >= _mark && !_drainHolds && _waiting is not { Messages.Count: > 0 };

    private Outbox Waiting => _waiting ??= Outbox.Pool.Get();
}
