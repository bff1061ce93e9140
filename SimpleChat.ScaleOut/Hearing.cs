using StackExchange.Redis;

namespace SimpleChat.ScaleOut;

/// <summary>Hears what other nodes announce to this one, and asks again for what it has missed.</summary>
/// <param name="chain">Gets commits.</param>
/// <param name="deliveries">Gets what was delivered.</param>
/// <param name="ask">Asks a node to tell again what it has told after some number.</param>
/// <param name="missed">Called when deliveries were missed that nobody can tell again.</param>
/// <param name="time">The clock.</param>
internal sealed class Hearing(CommitChain chain, Deliveries deliveries, Action<string, long> ask, Action missed, TimeProvider time)
{
    /// <summary>
    /// A node says something every second. If one is silent for so long, and there, this node does not hear it. One that has died is not
    /// there any more by then.
    /// </summary>
    private static readonly TimeSpan Silence = RedisMap.Expiry + TimeSpan.FromSeconds(2);

    private readonly Lock _gate = new();
    private readonly Dictionary<string, long> _numbers = new(StringComparer.Ordinal); // under _gate: node → up to here all was heard
    private readonly Dictionary<string, long> _silent = new(StringComparer.Ordinal); // under _gate: node → since when it is silent
    private int _deaf; // under _gate: how often in a row some node was not heard; each time it is waited twice as long

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
            if (_silent.Remove(announcement.Publisher) && _silent.Count == 0)
                _deaf = 0;
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

    /// <summary>
    /// These nodes are there. One that is not any more may have delivered something and told nobody; one that is not heard may have told it
    /// in vain.
    /// </summary>
    /// <param name="others">The nodes besides this one.</param>
    /// <param name="isBack">Redis was away until now, and so was every node.</param>
    /// <returns>Whether one of them is there and not heard.</returns>
    public bool Notice(string[] others, bool isBack)
    {
        bool isGone, isDeaf;
        lock (_gate)
        {
            isGone = Forget(_numbers) > 0;
            Forget(_silent);
            if (isBack)
                _silent.Clear();
            foreach (var node in others)
                _silent.TryAdd(node, time.GetTimestamp());
            isDeaf = _silent.Values.Any(since => time.GetElapsedTime(since) >= Silence * (1 << Math.Min(_deaf, 6)));
            if (isDeaf)
            {
                _silent.Clear();
                _deaf++;
            }
        }

        if (isGone || isDeaf)
            missed();
        return isDeaf;

        int Forget(Dictionary<string, long> nodes) => nodes.Keys.Except(others).ToList().Count(nodes.Remove);
    }
}
