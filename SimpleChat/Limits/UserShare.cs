using SimpleChat.Settings;

namespace SimpleChat.Limits;

/// <summary>
/// What one user may use of the server, over all connections and requests. It counts everything by which one user could slow down the
/// others. Work is charged after it was done. While a user is in debt, the server reads no more from that user. So a flood of any kind
/// slows down its sender alone.
/// </summary>
internal sealed class UserShare
{
    /// <summary>Work per second for each message per second that a user may send. It leaves room for acks, pings and mistakes.</summary>
    private const int WorkPerMessage = 30;

    /// <summary>The least work per second, however few messages a user may send. It is about three hundredths of a core.</summary>
    private const int LeastWork = 3000;

    /// <summary>
    /// How many pages of history, inbox and conversations the user may have in memory at once. Further requests wait for their turn.
    /// </summary>
    private const int MaxPages = 4;

    private readonly Lock _gate = new();
    private readonly TimeProvider _time;
    private readonly int _maxRequests;
    private readonly IRateLimit? _messages; // null if there are no limits
    private int _holders;

    // Guarded by _gate.
    private TokenBucket _work; // used if there are limits
    private SemaphoreSlim? _pages, _body, _partOfPageRoom;
    private int _requests;

    /// <param name="options">The limits; null for none.</param>
    /// <param name="messages">Makes the limit of messages; null for one of its own.</param>
    public UserShare(string user, ChatOptions? options = null, TimeProvider? time = null, RateLimitOf? messages = null)
    {
        User = user;
        _time = time ?? TimeProvider.System;
        _maxRequests = options?.RequestsPerUser ?? int.MaxValue;
        if (options?.MessagesPerSecond is > 0 and var perSecond)
        {
            _messages = messages?.Invoke(user) ?? new RateLimit(perSecond, _time);
            var work = Math.Max(LeastWork, WorkPerMessage * perSecond);
            _work = new TokenBucket(work, burst: work / 3, _time.GetTimestamp()); // others would notice a longer burst
        }
    }

    public string User { get; }

    /// <summary>Row operations of this user that wait for the writer. Only the writer's queue uses it, under its gate.</summary>
    public int Waiting { get; set; }

    /// <summary>
    /// Takes one message from the allowance: <see cref="ChatOptions.MessagesPerSecond"/>, with bursts of twice that. False if none is left.
    /// </summary>
    public ValueTask<bool> TakeMessageAsync() => _messages?.TryTakeAsync() ?? ValueTask.FromResult(true);

    /// <summary>Charges work that was done for the user. 1 is a small frame; see <see cref="Work"/>.</summary>
    public void Charge(double work)
    {
        if (_messages is null)
            return;
        lock (_gate)
            _work.Take(work, _time);
    }

    /// <summary>How long the user has to wait before the server does more work for it. Mostly zero.</summary>
    public TimeSpan Debt
    {
        get
        {
            if (_messages is null)
                return TimeSpan.Zero;
            lock (_gate)
                return _work.Debt(_time);
        }
    }

    /// <summary>
    /// Waits until the present debt is paid. When it is cancelled it ends early and throws nothing, because many callers may leave at once.
    /// </summary>
    public async Task PayAsync(CancellationToken cancel)
    {
        var debt = Debt;
        if (debt > TimeSpan.Zero)
            await Task.Delay(debt, _time, cancel).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    /// <summary>
    /// Called when a request of this user begins; <see cref="PayAsync"/> comes next. <paramref name="work"/> is charged even if the request
    /// is refused. After true, the caller calls <see cref="EndRequest"/> once.
    /// </summary>
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

    public void EndRequest()
    {
        lock (_gate)
            _requests--;
    }

    /// <summary>Reads a body of the user's. Bodies are read one after another, and none while the user is in debt.</summary>
    public async Task<T> ReadBodyAsync<T>(Func<T> read, CancellationToken cancel)
    {
        var turn = Places(ref _body, 1);
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

    /// <summary>Waits for one of the user's <see cref="MaxPages"/>. The caller gives it back with <see cref="ReturnPage"/>.</summary>
    public Task TakePageAsync(CancellationToken cancel) => Places(ref _pages, MaxPages).WaitAsync(cancel);

    /// <summary>Called when the page was sent, or will not be sent.</summary>
    public void ReturnPage() => _pages!.Release();

    /// <summary>What this user's connections may take of the room for pages, which alone uses this.</summary>
    public SemaphoreSlim PartOfPageRoom(int pages) => Places(ref _partOfPageRoom, pages);

    /// <summary>Called when a connection or a request needs the share: see <see cref="UserShares"/>.</summary>
    public void Hold() => Interlocked.Increment(ref _holders);

    /// <summary>Called when a connection or a request no longer needs the share.</summary>
    public void Release() => Interlocked.Decrement(ref _holders);

    /// <summary>Whether nobody needs the share, and a new one would allow the user no more.</summary>
    public bool IsIdle
    {
        get
        {
            lock (_gate)
                return Volatile.Read(ref _holders) == 0 && (_messages is null || (_messages.IsFull && _work.IsFull(_time)));
        }
    }

    /// <summary>Most users never need these, so they are made when first used.</summary>
    private SemaphoreSlim Places(ref SemaphoreSlim? places, int count)
    {
        lock (_gate)
            return places ??= new SemaphoreSlim(count);
    }
}
