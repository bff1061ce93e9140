using System.Globalization;
using SimpleChat.Monitoring;
using SimpleChat.Queues;
using StackExchange.Redis;

namespace SimpleChat.ScaleOut;

/// <summary>
/// Tells the other nodes what this one has committed: every node hears of every commit, and those get the text along that have a connection
/// for it, as the map says. What gathers while one announcement is under way goes into the next. Nobody waits for any of it, and any of it
/// may be lost. Messages are read then. What was delivered is remembered for a while, and told again to a node that asks.
/// </summary>
internal sealed partial class Announcer(RedisServer redis, RedisMap map, Traces traces, TimeProvider time, ILogger<Announcer> log)
{
    /// <summary>Commits and receipts that wait at most. Beyond them all are dropped, as if they had been lost on the way.</summary>
    private const int Capacity = 64 * 1024;

    /// <summary>Deliveries that are remembered at most.</summary>
    private const int MemoryCapacity = 64 * 1024;

    /// <summary>The most bytes of text in an announcement. Further messages go without, and are read by whoever needs them.</summary>
    private const int MaxText = 1024 * 1024;

    /// <summary>
    /// Where users are is asked again after so long. A node where one connects meanwhile gets no text, and reads it.
    /// </summary>
    private static readonly TimeSpan MemoryOfUsers = TimeSpan.FromSeconds(1);

    /// <summary>Which nodes there are is asked again after so long. A new node waits for that before anybody joins it.</summary>
    public static readonly TimeSpan MemoryOfNodes = TimeSpan.FromMilliseconds(100);

    /// <summary>How often a node that has nothing to tell says so: who lost the last announcement finds out.</summary>
    private static readonly TimeSpan Beat = TimeSpan.FromSeconds(1);

    private readonly Lock _gate = new();
    private readonly Signal _signal = new();
    private readonly Dictionary<string, long> _met = new(StringComparer.Ordinal); // node → the last announcement before it was there
    private readonly Queue<(long Number, List<Delivered> Delivered)> _told = [];
    private readonly Dictionary<string, string[]> _where = new(StringComparer.Ordinal); // user id → nodes
    private string[] _living = []; // nodes
    private long _askedSince, _livingSince;
    private int _remembered; // deliveries
    private long _number; // of the last announcement, counted from the start
    private long _forgotten; // of the last one that is not in _told any more

    // Guarded by _gate.
    private List<Commit> _commits = [];
    private List<Delivered> _delivered = [];
    private Dictionary<string, long> _again = []; // node → what it has heard
    private bool _isLost, _beatIsDue;

    /// <summary>A message of this node was committed. It is announced with the rest of its batch.</summary>
    public void Add(Commit commit)
    {
        lock (_gate)
            _commits.Add(commit);
    }

    /// <summary>A message has left its inbox. It is announced with the rest of its batch.</summary>
    public void Add(Delivered delivered)
    {
        lock (_gate)
            _delivered.Add(delivered);
    }

    /// <summary>Something was committed that this node cannot tell, because it does not know what.</summary>
    public void Lose()
    {
        lock (_gate)
            _isLost = true;
        _signal.Set();
    }

    /// <summary>A batch is over, and is announced.</summary>
    public void Announce()
    {
        lock (_gate)
        {
            if (_commits.Count + _delivered.Count > Capacity)
            {
                _commits.Clear();
                _delivered.Clear();
                _isLost = true;
            }
        }

        _signal.Set();
    }

    /// <summary>Asks another node to tell this one again what it has told it after some number.</summary>
    public void Ask(string node, long after) => Publish(Hearing.Questions(node), $"{map.Incarnation} {after}");

    /// <summary>Another node asks for it.</summary>
    /// <param name="question">As <see cref="Ask"/> writes it.</param>
    public void Answer(string question)
    {
        var words = question.Split(' ');
        lock (_gate)
            _again[words[0]] = long.Parse(words[1], CultureInfo.InvariantCulture);
        _signal.Set();
    }

    /// <summary>Announces until it is stopped.</summary>
    public async Task RunAsync(CancellationToken stop)
    {
        using var beat = time.CreateTimer(_ => DoBeat(), null, TimeSpan.Zero, Beat);
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

        void DoBeat()
        {
            lock (_gate)
                _beatIsDue = true;
            _signal.Set();
        }
    }

    private async Task AnnounceAsync()
    {
        List<Commit> commits;
        List<Delivered> delivered;
        Dictionary<string, long> again;
        bool isLost, isNews, isDue;
        lock (_gate)
        {
            (commits, delivered, again, isLost) = (_commits, _delivered, _again, _isLost);
            isNews = isLost || commits.Count + delivered.Count > 0;
            isDue = isNews || _beatIsDue || again.Count > 0;
            (_commits, _delivered, _again, _isLost, _beatIsDue) = ([], [], [], false, false);
        }

        if (!isDue)
            return;
        var begun = traces.Now;
        try
        {
            await FindAsync(commits);
        }
        catch (Exception e) when (RedisServer.IsAway(e))
        {
            _living = []; // nobody is told; the numbers will say so
        }

        foreach (var node in _living.Concat(again.Keys))
            _met.TryAdd(node, _number);
        var before = _number;
        if (isNews)
            Remember(delivered, isLost);
        Trim(commits);
        foreach (var node in _living.Where(node => node != map.Incarnation))
        {
            var met = _met[node];
            var after = again.TryGetValue(node, out var heard) ? met + heard : before;
            Publish(Hearing.Channel(node), new Announcement(
                    map.Incarnation, after < _forgotten ? Announcement.Forgotten : after - met, _number - met, commits,
                    after == before ? delivered : [.. _told.Where(one => one.Number > after).SelectMany(one => one.Delivered)])
                .Write(user => _where.TryGetValue(user, out var nodes) && nodes.Contains(node)));
        }

        foreach (var commit in commits.Where(commit => commit.Trace != default && _living.Length > 1))
            traces.Add("announced", commit.Trace, begun, traces.Now);
    }

    /// <summary>Counts an announcement, and remembers what it says was delivered.</summary>
    private void Remember(List<Delivered> delivered, bool isLost)
    {
        _told.Enqueue((++_number, delivered));
        _remembered += delivered.Count;
        while (_remembered > MemoryCapacity || (isLost && _told.Count > 0))
        {
            (_forgotten, var oldest) = _told.Dequeue();
            _remembered -= oldest.Count;
        }
    }

    /// <summary>Finds the nodes that there are, and those of the messages' users.</summary>
    private async Task FindAsync(List<Commit> commits)
    {
        var now = time.GetTimestamp();
        if (time.GetElapsedTime(_askedSince, now) > MemoryOfUsers)
        {
            _where.Clear();
            _askedSince = now;
        }

        var users = new HashSet<string>(StringComparer.Ordinal);
        foreach (var commit in commits)
        {
            if (!_where.ContainsKey(commit.From))
                users.Add(commit.From);
            if (!_where.ContainsKey(commit.To))
                users.Add(commit.To);
        }

        if (users.Count == 0 && time.GetElapsedTime(_livingSince, now) < MemoryOfNodes)
            return;
        _living = await map.FindAsync([.. users], _where);
        _livingSince = now;
    }

    private void Publish(RedisChannel channel, RedisValue what)
    {
        try
        {
            redis.Subscriber.Publish(channel, what, CommandFlags.FireAndForget);
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

    private static partial class Log
    {
        [LoggerMessage(47, LogLevel.Error, "What this node has committed could not be announced.")]
        public static partial void Failed(ILogger log, Exception e);
    }
}
