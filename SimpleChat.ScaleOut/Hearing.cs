using StackExchange.Redis;

namespace SimpleChat.ScaleOut;

/// <summary>Hears what other nodes announce to this one, and notices what it has missed.</summary>
/// <param name="chain">Gets commits.</param>
/// <param name="deliveries">Gets what was delivered.</param>
/// <param name="missed">Called when deliveries may have been missed.</param>
internal sealed class Hearing(CommitChain chain, Deliveries deliveries, Action missed)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, long> _numbers = new(StringComparer.Ordinal); // under _gate: last heard of each node

    /// <summary>Where a node hears.</summary>
    public static RedisChannel Channel(string node) => RedisChannel.Literal($"chat:to:{node}");

    /// <summary>An announcement came, perhaps again, or out of order.</summary>
    public void Hear(Announcement announcement)
    {
        bool isMissed;
        lock (_gate)
        {
            var last = _numbers.GetValueOrDefault(announcement.Publisher);
            isMissed = announcement.Number > (announcement.IsEmpty ? last : last + 1);
            _numbers[announcement.Publisher] = Math.Max(last, announcement.Number);
        }

        foreach (var commit in announcement.Commits)
            chain.Add(commit);
        foreach (var delivered in announcement.Delivered)
            deliveries.Tell(delivered);
        if (isMissed)
            missed();
    }

    /// <summary>These nodes are there. One that is not any more may have delivered something and told nobody.</summary>
    public void Notice(string[] living)
    {
        bool isMissed;
        lock (_gate)
        {
            string[] gone = [.. _numbers.Keys.Except(living)];
            Array.ForEach(gone, node => _numbers.Remove(node));
            isMissed = gone.Length > 0;
        }

        if (isMissed)
            missed();
    }
}
