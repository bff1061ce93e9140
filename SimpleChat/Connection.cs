using Microsoft.Extensions.ObjectPool;

namespace SimpleChat;

/// <summary>
/// One user's open line, whatever carries it. Others put in (<see cref="Offer"/>, <see cref="Tell"/>, <see cref="Answer"/>; none of them ever waits);
/// one single <see cref="Drain"/> takes out (<see cref="WaitAsync"/>, then <see cref="Take"/>).
/// <para>
/// Messages go through it in id order, from two sources that together are one line: what is at or below its <see cref="Mark"/>
/// is read from the database, what is above it is queued here. A new connection starts behind; one whose reader is slow falls
/// behind again when its queue is full: the queue is dropped, the mark moves up, and nothing is lost, because everything was stored first.
/// </para>
/// </summary>
/// <param name="share">What its user may have of the server.</param>
/// <param name="messagesOnly">Whether it carries messages alone: no frames come in over it, and receipts have no place in it.</param>
internal sealed class Connection(UserShare share, bool messagesOnly = false)
{
    /// <summary>Live messages queued at most: enough for the burst of one commit, small beside what the kernel buffers.</summary>
    public const int MessageCapacity = 256;

    /// <summary>Bytes of text queued at most, so that large messages are bounded too.</summary>
    public const int TextCapacity = 256 * 1024;

    /// <summary>Receipts queued at most; they are small, and come in bursts when an inbox is drained.</summary>
    public const int ReceiptCapacity = 4096;

    /// <summary>Frames of this client that may be unanswered before no more of them are read.</summary>
    public const int AnswerCapacity = 256;

    /// <summary>Spans of own ids that are remembered. Each sending of another device's between two own ones begins a new span.</summary>
    private const int OwnCapacity = 256;

    private readonly Lock _gate = new();
    private readonly Signal _wake = new();

    // All below: under _gate.
    private Outbox? _waiting; // null while nothing waits
    private int _textLength;
    private long _position; // everything up to here was passed on, or need not be
    private long _inboxUpTo; // up to here undelivered messages alone are read; above it everything that concerns the user
    private long _mark; // everything up to here must be read from the database: it was not queued
    private bool _isTaken; // messages out of the queue are on their way
    private List<(long First, long Last)>? _own; // spans above _position: what the user sent within one was sent over this very connection
    private bool _ownGrows; // whether the last span may still grow
    private int _unanswered;
    private int _read, _answered; // frames so far; numbers, which may wrap
    private Dictionary<int, FrameAnswer?>? _early; // answers whose turn has not come; null while there are none
    private TaskCompletionSource? _room;
    private ConnectionEnd? _end;

    /// <summary>What its user may have of the server.</summary>
    public UserShare Share => share;

    /// <summary>Whose line it is.</summary>
    public string User => share.User;

    /// <summary>
    /// Whether somebody is there at its end: the user is online by it, and it counts towards <see cref="ChatOptions.ConnectionsPerUser"/>. If not, it is
    /// woken by messages and queues none.
    /// </summary>
    public bool IsAttended { get; init; } = true;

    /// <summary>Everything up to this id was passed on, or need not be. Ids up to here never come again.</summary>
    public long Position
    {
        get
        {
            lock (_gate)
                return _position;
        }
    }

    /// <summary>How far the drain must read from the database before the queue's messages are next.</summary>
    public long Mark
    {
        get
        {
            lock (_gate)
                return _mark;
        }
    }

    /// <summary>Whether the database is next, not the queue.</summary>
    public bool IsBehind
    {
        get
        {
            lock (_gate)
                return _position < _mark;
        }
    }

    /// <summary>Why the connection ends; null as long as it doesn't.</summary>
    public ConnectionEnd? Ending
    {
        get
        {
            lock (_gate)
                return _end;
        }
    }

    /// <summary>Starts the line: <paramref name="position"/> was passed already, and what was committed up to <paramref name="committed"/> is read from the database.</summary>
    public void StartBehind(long position, long inboxUpTo, long committed)
    {
        lock (_gate)
        {
            (_position, _inboxUpTo) = (position, inboxUpTo);
            _mark = Math.Max(_mark, committed);
        }

        Wake();
    }

    /// <summary>Something up to <paramref name="committed"/> may not have been offered: it is read from the database.</summary>
    public void FallBehind(long committed)
    {
        lock (_gate)
        {
            _waiting?.Messages.Clear();
            _textLength = 0;
            _ownGrows = false;
            _mark = Math.Max(_mark, committed);
        }

        Wake();
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

        Wake();
    }

    /// <summary>
    /// This connection sent a message itself: it is answered, not told. Called in id order, like <see cref="Offer"/>. A reader that has everything
    /// has passed it thereby; for one that has not, it is left out when its turn comes.
    /// </summary>
    public void Skip(long id)
    {
        lock (_gate)
        {
            if (HasEverything)
            {
                _position = id;
                return;
            }

            _own ??= [];
            if (_ownGrows)
            {
                _own[^1] = (_own[^1].First, id);
                return;
            }

            if (_own.Count == OwnCapacity) // then the oldest come back to it as messages, which a client drops by their ids
                _own.RemoveAt(0);
            _own.Add((id, id));
            _ownGrows = true;
        }
    }

    /// <summary>Tells whether the message was sent over this very connection. Asked by the drain about messages above its position.</summary>
    public bool IsOwn(Message message)
    {
        if (message.From != User || message.To == User)
            return false;
        lock (_gate)
            return _own?.Exists(span => span.First <= message.Id && message.Id <= span.Last) == true;
    }

    /// <summary>Everything up to <paramref name="upTo"/> was passed on by the drain.</summary>
    public void Passed(long upTo)
    {
        lock (_gate)
        {
            _isTaken = false;
            _position = Math.Max(_position, upTo);
            if (_own is null)
                return;
            if (HasEverything)
                _position = Math.Max(_position, _own[^1].Last);
            _own.RemoveAll(span => span.Last <= _position);
            if (_own.Count == 0)
                (_own, _ownGrows) = (null, false);
        }
    }

    /// <summary>A message that the user sent has left its inbox.</summary>
    public void Tell(Receipt receipt)
    {
        lock (_gate)
        {
            if (_end is not null || messagesOnly)
                return;
            var waiting = Waiting;
            if (waiting.Receipts.Count == ReceiptCapacity)
            {
                foreach (var missed in waiting.Receipts)
                    waiting.MissReceipt(missed.Id);
                waiting.Receipts.Clear();
            }

            if (waiting.MissedReceipts is null)
                waiting.Receipts.Add(receipt);
            else
                waiting.MissReceipt(receipt.Id);
        }

        Wake();
    }

    /// <summary>
    /// A frame of this client was read and will be answered, in its turn: answers go out in the order in which the frames came. False once the connection is
    /// ending: then it counts as not read. Every true is paired with one <see cref="Answer"/>.
    /// </summary>
    public bool TryBeginAnswer(out int turn)
    {
        lock (_gate)
        {
            turn = _read;
            if (_end is not null)
                return false;
            _read++;
            _unanswered++;
            return true;
        }
    }

    /// <summary>The answer to a frame, for the drain to write as soon as those before it are there. Null if the frame is done with and needs none.</summary>
    public void Answer(int turn, FrameAnswer? answer)
    {
        var unspoken = 0;
        lock (_gate)
        {
            if (turn != _answered)
            {
                (_early ??= [])[turn] = answer;
                return;
            }

            do
            {
                if (answer is { } spoken)
                    Waiting.Answers.Add(spoken);
                else
                    unspoken++;
                _answered++;
            }
            while (_early?.Remove(_answered, out answer) == true);
            if (_early?.Count == 0)
                _early = null;
        }

        if (unspoken > 0)
            Answered(unspoken);
        Wake();
    }

    /// <summary><paramref name="count"/> answers are written, or needed no words.</summary>
    public void Answered(int count)
    {
        TaskCompletionSource? room = null;
        lock (_gate)
        {
            _unanswered -= count;
            if (_unanswered < AnswerCapacity)
                (room, _room) = (_room, null);
        }

        room?.SetResult();
    }

    /// <summary>Waits until fewer than <see cref="AnswerCapacity"/> frames are unanswered: a client that does not take its answers is not read further.</summary>
    public Task WaitForRoomAsync()
    {
        lock (_gate)
        {
            return _unanswered < AnswerCapacity || _end is not null
                ? Task.CompletedTask
                : (_room ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
        }
    }

    /// <summary>Ends the connection, for the first reason given: nothing more is read or pushed; what was read is still answered.</summary>
    public void End(ConnectionEnd end)
    {
        TaskCompletionSource? room;
        lock (_gate)
        {
            _end ??= end;
            (room, _room) = (_room, null);
        }

        room?.SetResult();
        Wake();
    }

    /// <summary>True when the connection is ending and every frame that was read is answered.</summary>
    public bool IsDrained
    {
        get
        {
            lock (_gate)
                return _end is not null && _unanswered == 0;
        }
    }

    /// <summary>Makes the drain look again.</summary>
    public void Wake() => _wake.Set();

    /// <summary>Waits until there may be something to take. One drain at a time.</summary>
    public ValueTask WaitAsync() => _wake.WaitAsync();

    /// <summary>
    /// What waits for the drain, perhaps nothing; it goes back to <see cref="Outbox.Pool"/> when it was passed on. While the connection is behind,
    /// live messages stay queued, and the outbox says what to read instead. Once it is ending there are no messages.
    /// </summary>
    public Outbox Take()
    {
        lock (_gate)
        {
            Outbox outbox;
            (outbox, _waiting) = (Waiting, null);
            if (_end is not null)
            {
                outbox.Messages.Clear();
            }
            else if (_position < _mark)
            {
                var inboxOnly = _position < _inboxUpTo;
                outbox.Range = new CatchUp(_position, inboxOnly ? Math.Min(_mark, _inboxUpTo) : _mark, inboxOnly);
                if (outbox.Messages.Count > 0)
                    (outbox.Messages, Waiting.Messages) = (Waiting.Messages, outbox.Messages);
            }
            else
            {
                var passed = 0; // what came out of the database already: it was committed while the connection joined or caught up
                while (passed < outbox.Messages.Count && outbox.Messages[passed].Id <= _position)
                    passed++;
                outbox.Messages.RemoveRange(0, passed);
                _textLength = 0;
                _isTaken = outbox.Messages.Count > 0;
            }

            return outbox;
        }
    }

    /// <summary>Under the gate.</summary>
    private void Queue(Message message)
    {
        if (message.From == User)
            _ownGrows = false; // sent from elsewhere: a span ends before it
        _textLength += message.Text.Length;
        var messages = Waiting.Messages;
        if (messages.Count < MessageCapacity && (_textLength <= TextCapacity || messages.Count == 0))
        {
            messages.Add(message);
            return;
        }

        messages.Clear();
        _textLength = 0;
        _mark = message.Id;
    }

    /// <summary>Under the gate: whether nothing is on its way, nothing queued and nothing to be read.</summary>
    private bool HasEverything => _position >= _mark && !_isTaken && _waiting is not { Messages.Count: > 0 };

    /// <summary>Under the gate.</summary>
    private Outbox Waiting => _waiting ??= Outbox.Pool.Get();
}

/// <summary>What a connection that is behind has to read from the database next.</summary>
/// <param name="After">Only above this id.</param>
/// <param name="UpTo">Up to this id.</param>
/// <param name="InboxOnly">Whether only what is undelivered, or all that the user sent or received.</param>
internal readonly record struct CatchUp(long After, long UpTo, bool InboxOnly);

/// <summary>What waits to be passed on over one connection. An idle connection has none: they go round through the <see cref="Pool"/>.</summary>
internal sealed class Outbox : IResettable
{
    /// <summary>Where they are while nobody has anything to say.</summary>
    public static readonly ObjectPool<Outbox> Pool = new DefaultObjectPool<Outbox>(new DefaultPooledObjectPolicy<Outbox>(), maximumRetained: 256);

    /// <summary>Answers to the client's own frames.</summary>
    public List<FrameAnswer> Answers { get; } = [];

    /// <summary>Receipts for messages that the user sent.</summary>
    public List<Receipt> Receipts { get; } = [];

    /// <summary>What is to be read from the database before messages are queued here again; null if nothing is.</summary>
    public CatchUp? Range { get; set; }

    /// <summary>Lowest and highest id of receipts that found no room, to be read from the database; null if all did.</summary>
    public (long First, long Last)? MissedReceipts { get; private set; }

    /// <summary>Live messages, ids rising.</summary>
    public List<Message> Messages { get; set; } = [];

    /// <summary>Widens <see cref="MissedReceipts"/>.</summary>
    public void MissReceipt(long id) =>
        MissedReceipts = MissedReceipts is var (first, last) ? (Math.Min(first, id), Math.Max(last, id)) : (id, id);

    /// <summary>Empties it for the next use; what a burst of receipts made large is let go.</summary>
    bool IResettable.TryReset()
    {
        Answers.Clear();
        Receipts.Clear();
        Messages.Clear();
        (Range, MissedReceipts) = (null, null);
        return Receipts.Capacity <= Connection.MessageCapacity;
    }
}
