using SimpleChat.Settings;

namespace SimpleChat.Limits;

/// <summary>
/// What one user may have of the server, over all connections and requests: each thing that one user could cost the others is counted here.
/// Work is charged after it was done; a user in debt is not read further until the debt is paid. So a flood of whatever kind slows down its
/// sender alone.
/// </summary>
internal sealed class UserShare
{
    /// <summary>
    /// Work per second for each message per second that a user may send: acks, pings and mistakes need room beside the messages.
    /// </summary>
    private const int WorkPerMessage = 30;

    /// <summary>Work per second at least, however few messages a user may send: about three hundredths of a core.</summary>
    private const int LeastWork = 3000;

    /// <summary>
    /// Pages of history, inbox and conversations that may be read or wait to be sent at once; those of more requests come one after
    /// another.
    /// </summary>
    private const int MaxPages = 4;

    private readonly Lock _gate = new();
    private readonly TimeProvider _time;
    private readonly int _maxRequests;
    private readonly bool _isLimited;

    // Under _gate.
    private TokenBucket _messages, _work; // if _isLimited
    private SemaphoreSlim? _pages, _body;
    private int _requests, _holders;
    private bool _retired;

    /// <param name="user">Whose share it is.</param>
    /// <param name="options">The limits; null for none.</param>
    /// <param name="time">The clock.</param>
    public UserShare(string user, ChatOptions? options = null, TimeProvider? time = null)
    {
        User = user;
        _time = time ?? TimeProvider.System;
        _maxRequests = options?.RequestsPerUser ?? int.MaxValue;
        if (options?.MessagesPerSecond is > 0 and var messages)
        {
            _isLimited = true;
            _messages = new TokenBucket(messages, burst: 2 * messages, _time.GetTimestamp());
            var work = Math.Max(LeastWork, WorkPerMessage * messages);
            _work = new TokenBucket(work, burst: work / 3, _time.GetTimestamp()); // a longer burst would be felt by others
        }
    }

    /// <summary>Whose share it is.</summary>
    public string User { get; }

    /// <summary>Row operations of this user that wait for the writer. The writer's own, under its gate.</summary>
    public int Waiting { get; set; }

    /// <summary>
    /// Takes one message out of the allowance (<see cref="ChatOptions.MessagesPerSecond"/>, bursts of twice that); false if there is none
    /// left.
    /// </summary>
    public bool TakeMessage()
    {
        lock (_gate)
            return !_isLimited || _messages.TryTake(_time);
    }

    /// <summary>Counts work that was done for the user.</summary>
    /// <param name="work">1 is a small frame; see <see cref="Work"/>.</param>
    public void Charge(double work)
    {
        if (!_isLimited)
            return;
        lock (_gate)
            _work.Take(work, _time);
    }

    /// <summary>How long the user has to wait before more work is done for it; zero most of the time.</summary>
    public TimeSpan Debt
    {
        get
        {
            if (!_isLimited)
                return TimeSpan.Zero;
            lock (_gate)
                return _work.Debt(_time);
        }
    }

    /// <summary>
    /// Waits until the debt of this moment is paid. When it is cancelled it ends early, and throws nothing: many may leave at once.
    /// </summary>
    public Task PayAsync(CancellationToken cancel)
    {
        var debt = Debt;
        return debt == TimeSpan.Zero ? Task.CompletedTask : WaitAsync();

        async Task WaitAsync() => await Task.Delay(debt, _time, cancel).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    /// <summary>
    /// A request of this user begins; <see cref="PayAsync"/> comes next. Every true is paired with one <see cref="EndRequest"/>.
    /// </summary>
    /// <param name="work">What it costs, whatever becomes of it.</param>
    /// <returns>False if <see cref="ChatOptions.RequestsPerUser"/> are under way already.</returns>
    public bool TryBeginRequest(double work)
    {
        Charge(work);
        lock (_gate)
        {
            if (_requests >= _maxRequests)
                return false;
            _requests++;
            return true;
        }
    }

    /// <summary>Makes something of a body of the user's: one after another, and none while the user is in debt.</summary>
    /// <param name="read">Reads the whole body.</param>
    /// <param name="cancel">The caller has left.</param>
    public async Task<T> ReadBodyAsync<T>(Func<T> read, CancellationToken cancel)
    {
        SemaphoreSlim turn;
        lock (_gate)
            turn = _body ??= new SemaphoreSlim(1);
        await turn.WaitAsync(cancel);
        try
        {
            await PayAsync(cancel);
            return read();
        }
        finally
        {
            turn.Release();
        }
    }

    /// <summary>Waits for one of the user's <see cref="MaxPages"/>. Each is given back with <see cref="ReturnPage"/>.</summary>
    public Task TakePageAsync(CancellationToken cancel)
    {
        lock (_gate)
            return (_pages ??= new SemaphoreSlim(MaxPages)).WaitAsync(cancel);
    }

    /// <summary>The page was sent, or will not be.</summary>
    public void ReturnPage() => _pages!.Release();

    /// <summary>A request of this user has ended.</summary>
    public void EndRequest()
    {
        lock (_gate)
            _requests--;
    }

    /// <summary>Somebody needs it: a connection, a request. False if it was let go just before: then there is a new one.</summary>
    public bool TryHold()
    {
        lock (_gate)
        {
            if (_retired)
                return false;
            _holders++;
            return true;
        }
    }

    /// <summary>Somebody needs it no more.</summary>
    public void Release()
    {
        lock (_gate)
            _holders--;
    }

    /// <summary>Lets it go if nobody needs it and nothing would be forgotten: what is as good as new need not be kept.</summary>
    public bool TryRetire()
    {
        lock (_gate)
        {
            _retired = _holders == 0 && (!_isLimited || (_messages.IsFull(_time) && _work.IsFull(_time)));
            return _retired;
        }
    }
}
