using System.Collections.Concurrent;
using SimpleChat.Settings;

namespace SimpleChat.Limits;

/// <summary>The shares of the users who are connected, or were a moment ago.</summary>
internal sealed class UserShares : IDisposable
{
    /// <summary>How often shares that nobody needs are retired.</summary>
    private static readonly TimeSpan Sweep = TimeSpan.FromSeconds(5);

    private readonly ConcurrentDictionary<string, UserShare> _shares = new(StringComparer.Ordinal);
    private readonly ChatOptions _options;
    private readonly TimeProvider _time;
    private readonly RateLimitOf? _messages;
    private readonly ITimer _sweep;

    public UserShares(ChatOptions options, TimeProvider time, RateLimitOf? messages = null)
    {
        _options = options;
        _time = time;
        _messages = messages;
        _sweep = time.CreateTimer(_ => LetGo(), null, Sweep, Sweep);
    }

    /// <summary>Returns the user's share. The caller calls <see cref="UserShare.Release"/> once.</summary>
    public UserShare Hold(string user)
    {
        while (true)
        {
            var share = _shares.GetOrAdd(
                user, static (name, shares) => new UserShare(name, shares._options, shares._time, shares._messages), this);
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
