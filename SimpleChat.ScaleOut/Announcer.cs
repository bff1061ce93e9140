using SimpleChat.Queues;
using StackExchange.Redis;

namespace SimpleChat.ScaleOut;

/// <summary>
/// Tells the other nodes what this one has committed: every node hears of every commit, and those get the text along that have a connection
/// for it, as the map says. What gathers while one announcement is under way goes into the next. Nobody waits for any of it, and any of it
/// may be lost.
/// </summary>
internal sealed partial class Announcer(RedisServer redis, RedisMap map, TimeProvider time, ILogger<Announcer> log)
{
    /// <summary>Commits and receipts that wait at most. Beyond them all are dropped, as if they had been lost on the way.</summary>
    private const int Capacity = 64 * 1024;

    /// <summary>The most bytes of text in an announcement. Further messages go without, and are read by whoever needs them.</summary>
    private const int MaxText = 1024 * 1024;

    /// <summary>
    /// Where users are is asked again after so long. A node where one connects meanwhile gets no text, and reads it. Which nodes there are
    /// is asked each time, because only they are told of receipts.
    /// </summary>
    private static readonly TimeSpan Memory = TimeSpan.FromSeconds(1);

    /// <summary>How often a node that has nothing to tell says so: who lost the last announcement finds out.</summary>
    private static readonly TimeSpan Beat = TimeSpan.FromSeconds(1);

    private readonly Lock _gate = new();
    private readonly Signal _signal = new();
    private readonly Dictionary<string, long> _numbers = new(StringComparer.Ordinal); // of the last announcement to each node
    private readonly Dictionary<string, string[]> _where = new(StringComparer.Ordinal); // user id → nodes
    private long _askedSince;

    // Guarded by _gate.
    private List<Commit> _commits = [];
    private List<Delivered> _delivered = [];
    private bool _isLost, _beatIsDue;

    /// <summary>A message of this node was committed.</summary>
    public void Add(Commit commit) => Change(() => _commits.Add(commit));

    /// <summary>A message has left its inbox.</summary>
    public void Add(Delivered delivered) => Change(() => _delivered.Add(delivered));

    /// <summary>Something was committed that this node cannot tell, because it does not know what.</summary>
    public void Lose() => Change(() => _isLost = true);

    /// <summary>Announces until it is stopped.</summary>
    public async Task RunAsync(CancellationToken stop)
    {
        using var beat = time.CreateTimer(_ => Change(() => _beatIsDue = true), null, Beat, Beat);
        using var stopping = stop.Register(_signal.Set);
        while (!stop.IsCancellationRequested)
        {
            await _signal.WaitAsync();
            try
            {
                await AnnounceAsync();
            }
            catch (Exception e)
            {
                Log.Failed(log, e); // others read what they were not told
            }
        }
    }

    private async Task AnnounceAsync()
    {
        List<Commit> commits;
        List<Delivered> delivered;
        bool isNews, isDue;
        lock (_gate)
        {
            (commits, delivered) = (_commits, _delivered);
            isNews = _isLost || commits.Count + delivered.Count > 0;
            isDue = isNews || _beatIsDue;
            (_commits, _delivered, _isLost, _beatIsDue) = ([], [], false, false);
        }

        if (!isDue)
            return;
        string[] living = [];
        if (time.GetElapsedTime(_askedSince) > Memory)
        {
            _where.Clear();
            _askedSince = time.GetTimestamp();
        }

        try
        {
            var users = commits.Select(commit => commit.From).Concat(commits.Select(commit => commit.To));
            living = await map.FindAsync([.. users.Where(user => !_where.ContainsKey(user)).Distinct()], _where);
        }
        catch (Exception e) when (RedisServer.IsAway(e))
        {
            // Nobody is told. The numbers will say so.
        }

        foreach (var node in living)
            _numbers.TryAdd(node, 0);
        if (isNews)
        {
            foreach (var node in _numbers.Keys)
                _numbers[node]++;
        }

        Trim(commits);
        foreach (var node in living.Where(node => node != map.Incarnation))
            Publish(node, new Announcement(map.Incarnation, _numbers[node], commits, delivered)
                .Write(user => _where.TryGetValue(user, out var nodes) && nodes.Contains(node)));
    }

    private void Publish(string node, byte[] announcement)
    {
        try
        {
            redis.Subscriber.Publish(Hearing.Channel(node), announcement, CommandFlags.FireAndForget);
        }
        catch (Exception e) when (RedisServer.IsAway(e))
        {
            // It is lost, as it could be on the way.
        }
    }

    /// <summary>Leaves out texts beyond <see cref="MaxText"/>.</summary>
    private static void Trim(List<Commit> commits)
    {
        var text = 0;
        for (var i = 0; i < commits.Count; i++)
        {
            text += commits[i].Message?.Text.Length ?? 0;
            if (text > MaxText)
                commits[i] = commits[i] with { Message = null };
        }
    }

    private void Change(Action change)
    {
        lock (_gate)
        {
            change();
            if (_commits.Count + _delivered.Count > Capacity)
            {
                _commits.Clear();
                _delivered.Clear();
                _isLost = true;
            }
        }

        _signal.Set();
    }

    private static partial class Log
    {
        [LoggerMessage(47, LogLevel.Error, "What this node has committed could not be announced.")]
        public static partial void Failed(ILogger log, Exception e);
    }
}
