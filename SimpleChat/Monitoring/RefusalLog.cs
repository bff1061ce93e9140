namespace SimpleChat.Monitoring;

/// <summary>
/// Who is refused, and why, for whoever operates the server. Every refusal is counted in the meter by its reason; the log gets one line at
/// first, and then one with a count in each <see cref="Interval"/>, per reason and per user or address. So an attack is seen and cannot
/// fill the log.
/// </summary>
/// <param name="metrics">Counts each.</param>
/// <param name="time">Says when an interval is over; the timer runs only while somebody is remembered.</param>
/// <param name="log">Gets the lines.</param>
internal sealed partial class RefusalLog(Metrics metrics, TimeProvider time, ILogger<RefusalLog> log) : IDisposable
{
    /// <summary>How often a refusal that goes on is told again. Seldom enough to read, often enough to act.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Pairs of a reason and a name that are remembered at once; beyond these all share the name <see cref="Others"/>. Nobody can fill
    /// memory with names.
    /// </summary>
    public const int MaxRemembered = 256;

    /// <summary>The name of those that are too many to be named.</summary>
    public const string Others = "others";

    /// <summary>What an honest client does not do; the rest is told at Information.</summary>
    private static readonly string[] Suspicious = ["invalid_token", "expired_token", "foreign_origin", "connection_displaced"];

    private readonly Lock _gate = new();
    private readonly Dictionary<(string Reason, string Who), int> _untold = [];
    private ITimer? _timer;

    /// <summary>Somebody was refused.</summary>
    /// <param name="reason">Why: a word out of a fixed list, such as <c>Refusal.Reason</c>; never a caller's own word.</param>
    /// <param name="who">A valid user id, or an address where there is no user.</param>
    public void Refused(string reason, string who)
    {
        metrics.Refused(reason);
        lock (_gate)
        {
            if (_untold.TryGetValue((reason, who), out var count))
            {
                _untold[(reason, who)] = count + 1;
                return;
            }

            if (_untold.Count >= MaxRemembered)
            {
                who = Others; // one more for each reason at most
                if (_untold.TryGetValue((reason, who), out count))
                {
                    _untold[(reason, who)] = count + 1;
                    return;
                }
            }

            _untold[(reason, who)] = 0;
            _timer ??= time.CreateTimer(_ => Tell(), null, Interval, Interval);
        }

        var level = Level(reason);
        Log.Refused(log, level, who, reason);
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _timer?.Dispose();
            _untold.Clear();
        }
    }

    /// <summary>Tells the counts of the interval that is over, and forgets who was not refused in it.</summary>
    private void Tell()
    {
        List<((string Reason, string Who) Key, int Count)> counts = [];
        lock (_gate)
        {
            foreach (var (key, count) in _untold)
            {
                if (count == 0)
                {
                    _untold.Remove(key);
                }
                else
                {
                    counts.Add((key, count));
                    _untold[key] = 0;
                }
            }

            if (_untold.Count == 0)
            {
                _timer?.Dispose();
                _timer = null;
            }
        }

        foreach (var ((reason, who), count) in counts)
        {
            var level = Level(reason);
            Log.RefusedAgain(log, level, who, count, Interval.TotalSeconds, reason);
        }
    }

    private static LogLevel Level(string reason) => Suspicious.Contains(reason) ? LogLevel.Warning : LogLevel.Information;

    private static partial class Log
    {
        [LoggerMessage(EventId = 40, Message = "{Who} was refused: {Reason}.")]
        public static partial void Refused(ILogger log, LogLevel level, string who, string reason);

        [LoggerMessage(EventId = 41, Message = "{Who} was refused {Count} times more within {Seconds} s: {Reason}.")]
        public static partial void RefusedAgain(ILogger log, LogLevel level, string who, int count, double seconds, string reason);
    }
}
