using SimpleChat.Settings;

namespace SimpleChat.Limits;

/// <summary>The shares of the users who are connected, or were a moment ago.</summary>
internal sealed class UserShares : IDisposable
{
    /// <summary>How often shares that nobody needs are forgotten.</summary>
    private static readonly TimeSpan Sweep = TimeSpan.FromSeconds(5);

    private readonly Lock _gate = new();
    private readonly Dictionary<string, UserShare> _shares = new(StringComparer.Ordinal); // under _gate
    private readonly Func<string, UserShare> _make;
    private readonly ITimer _sweep;

    public UserShares(ChatOptions options, TimeProvider time, RateLimitOf? messages = null)
    {
        _make = user => new UserShare(user, options, time, messages);
        _sweep = time.CreateTimer(_ => Forget(), null, Sweep, Sweep);
    }

    /// <summary>Returns the user's share. The caller calls <see cref="UserShare.Release"/> once.</summary>
    public UserShare Hold(string user)
    {
        lock (_gate)
        {
            if (!_shares.TryGetValue(user, out var share))
                _shares.Add(user, share = _make(user));
            share.Hold();
            return share;
        }
    }

    public void Dispose() => _sweep.Dispose();

    private void Forget()
    {
        lock (_gate)
        {
            foreach (var (user, share) in _shares)
            {
                if (share.IsIdle)
                    _shares.Remove(user);
            }
        }
    }
}
