using StackExchange.Redis;

namespace SimpleChat.ScaleOut;

/// <summary>Hears what other nodes announce to this one, and asks again for what it has missed.</summary>
/// <param name="chain">Gets commits.</param>
/// <param name="deliveries">Gets what was delivered.</param>
/// <param name="ask">Asks a node to tell again what it has told after some number.</param>
/// <param name="missed">Called when deliveries were missed that nobody can tell again.</param>
internal sealed class Hearing(CommitChain chain, Deliveries deliveries, Action<string, long> ask, Action missed)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, long> _numbers = new(StringComparer.Ordinal); // under _gate: node → up to here all was heard

    /// <summary>Where a node hears.</summary>
    public static RedisChannel Channel(string node) => RedisChannel.Literal($"chat:to:{node}");

    /// <summary>Where a node is asked to tell something again.</summary>
    public static RedisChannel Questions(string node) => RedisChannel.Literal($"chat:ask:{node}");

    /// <summary>An announcement came, perhaps again, or out of order.</summary>
    public void Hear(Announcement announcement)
    {
        long last;
        lock (_gate)
        {
            last = _numbers.GetValueOrDefault(announcement.Publisher);
            _numbers[announcement.Publisher] = announcement.After <= last ? Math.Max(last, announcement.Number) : last;
        }

        foreach (var commit in announcement.Commits)
            chain.Add(commit);
        foreach (var delivered in announcement.Delivered)
            deliveries.Tell(delivered);
        if (announcement.After > last)
            ask(announcement.Publisher, last);
        if (announcement.After == Announcement.Forgotten)
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
