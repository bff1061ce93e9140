using System.Collections.Concurrent;

namespace SimpleChat;

/// <summary>
/// What one user may have of the server, over all connections and requests: each thing that one user could cost the others is counted here.
/// Work is charged after it was done; a user in debt is not read further until the debt is paid. So a flood of whatever kind slows down its sender alone.
/// </summary>
internal sealed class UserShare
{
    /// <summary>Work per second for each message per second that a user may send: acks, pings and mistakes need room beside the messages.</summary>
    private const int WorkPerMessage = 30;

    /// <summary>Work per second at least, however few messages a user may send: about three hundredths of a core.</summary>
    private const int LeastWork = 3000;

    /// <summary>Pages of history, inbox and conversations that may be read or wait to be sent at once; those of more requests come one after another.</summary>
    private const int MaxPages = 4;

    private readonly Lock _gate = new();
    private readonly TimeProvider _time;
    private readonly int _maxRequests;

    // Under _gate.
    private readonly TokenBucket? _messages, _work;
    private SemaphoreSlim? _pages;
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
            _messages = new TokenBucket(messages, burst: 2 * messages, _time.GetTimestamp());
            var work = Math.Max(LeastWork, WorkPerMessage * messages);
            _work = new TokenBucket(work, burst: work / 3, _time.GetTimestamp()); // a longer burst would be felt by others
        }
    }

    /// <summary>Whose share it is.</summary>
    public string User { get; }

    /// <summary>Row operations of this user that wait for the writer. The writer's own, under its gate.</summary>
    public int Waiting { get; set; }

    /// <summary>Takes one message out of the allowance (<see cref="ChatOptions.MessagesPerSecond"/>, bursts of twice that); false if there is none left.</summary>
    public bool TakeMessage()
    {
        lock (_gate)
            return _messages is null || _messages.TryTake(_time);
    }

    /// <summary>Counts work that was done for the user.</summary>
    /// <param name="work">1 is a small frame; see <see cref="Work"/>.</param>
    public void Charge(double work)
    {
        if (_work is null)
            return;
        lock (_gate)
            _work.Take(work, _time);
    }

    /// <summary>How long the user has to wait before more work is done for it; zero most of the time.</summary>
    public TimeSpan Debt
    {
        get
        {
            if (_work is null)
                return TimeSpan.Zero;
            lock (_gate)
                return _work.Debt(_time);
        }
    }

    /// <summary>Waits until the debt of this moment is paid.</summary>
    public Task PayAsync(CancellationToken cancel = default)
    {
        var debt = Debt;
        return debt == TimeSpan.Zero ? Task.CompletedTask : Task.Delay(debt, _time, cancel);
    }

    /// <summary>
    /// A request of this user begins, once the debt is paid. False if <see cref="ChatOptions.RequestsPerUser"/> are under way already. Every true is
    /// paired with one <see cref="EndRequest"/>.
    /// </summary>
    /// <param name="work">What it costs whatever becomes of it.</param>
    /// <param name="cancel">The caller has left.</param>
    public async ValueTask<bool> TryBeginRequestAsync(double work, CancellationToken cancel)
    {
        Charge(work);
        lock (_gate)
        {
            if (_requests >= _maxRequests)
                return false;
            _requests++;
        }

        try
        {
            await PayAsync(cancel);
            return true;
        }
        catch
        {
            EndRequest();
            throw;
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
            _retired = _holders == 0 && _messages?.IsFull(_time) is not false && _work?.IsFull(_time) is not false;
            return _retired;
        }
    }
}

/// <summary>What things cost in <see cref="UserShare.Charge"/>, from how long they kept a core busy: 1 is about ten microseconds.</summary>
internal static class Work
{
    /// <summary>A handshake, or a connection that joins.</summary>
    public const double Handshake = 20;

    /// <summary>A request, whatever it asks.</summary>
    public const double Request = 5;

    /// <summary>A part of a fragmented message.</summary>
    public const double Fragment = 0.1;

    /// <summary>Looking for the user's conversations, beside the page: a thousand messages are looked at, and as many users.</summary>
    public const double Conversations = 200;

    /// <summary>A frame, or a request's body. Text is copied; what is not text is read piece by piece.</summary>
    public static double Frame(int bytes, int text) => 1 + text / 8192.0 + (bytes - text) / 1024.0;

    /// <summary>So many ids to be acknowledged: each is looked for in the inbox, and its sender may be told.</summary>
    public static double Ack(int ids) => ids / 4.0;

    /// <summary>A page read out of the database, and written.</summary>
    public static double Page(int rows, int bytes) => 1 + rows / 50.0 + bytes / 8192.0;
}

/// <summary>A token bucket that may be overdrawn: filled steadily, until it holds a burst. Its owner locks.</summary>
internal sealed class TokenBucket(double perSecond, double burst, long createdAt)
{
    private readonly double _burst = burst;
    private double _tokens = burst;
    private long _filledAt = createdAt;

    /// <summary>Takes one, if there is one.</summary>
    public bool TryTake(TimeProvider time)
    {
        Fill(time);
        if (_tokens < 1)
            return false;
        _tokens--;
        return true;
    }

    /// <summary>Takes so many, also what is not there.</summary>
    public void Take(double count, TimeProvider time)
    {
        Fill(time);
        _tokens -= count;
    }

    /// <summary>How long it takes until what is missing has come.</summary>
    public TimeSpan Debt(TimeProvider time)
    {
        if (_tokens >= 0)
            return TimeSpan.Zero;
        Fill(time);
        return _tokens >= 0 ? TimeSpan.Zero : TimeSpan.FromSeconds(-_tokens / perSecond);
    }

    /// <summary>Whether it is as good as new.</summary>
    public bool IsFull(TimeProvider time)
    {
        Fill(time);
        return _tokens >= _burst;
    }

    private void Fill(TimeProvider time)
    {
        var now = time.GetTimestamp();
        _tokens = Math.Min(_burst, _tokens + time.GetElapsedTime(_filledAt, now).TotalSeconds * perSecond);
        _filledAt = now;
    }
}

/// <summary>The shares of the users who are here, or were a moment ago.</summary>
internal sealed class UserShares : IDisposable
{
    /// <summary>As often it is looked for shares that nobody needs.</summary>
    private static readonly TimeSpan Sweep = TimeSpan.FromSeconds(5);

    private readonly ConcurrentDictionary<string, UserShare> _shares = new(StringComparer.Ordinal);
    private readonly ChatOptions _options;
    private readonly TimeProvider _time;
    private readonly ITimer _sweep;

    public UserShares(ChatOptions options, TimeProvider time)
    {
        _options = options;
        _time = time;
        _sweep = time.CreateTimer(_ => LetGo(), null, Sweep, Sweep);
    }

    /// <summary>The user's share; whoever takes it calls <see cref="UserShare.Release"/> once.</summary>
    public UserShare Hold(string user)
    {
        while (true)
        {
            var share = _shares.GetOrAdd(user, static (name, shares) => new UserShare(name, shares._options, shares._time), this);
            if (share.TryHold())
                return share;
            _shares.TryRemove(KeyValuePair.Create(user, share));
        }
    }

    public void Dispose() => _sweep.Dispose();

    private void LetGo()
    {
        foreach (var entry in _shares)
        {
            if (entry.Value.TryRetire())
                _shares.TryRemove(entry);
        }
    }
}
