namespace SimpleChat.Monitoring;

/// <summary>
/// Tells the operator who is refused, and why. The meter counts every refusal by its reason. The log gets a line for the first refusal of a
/// user or address with a reason. Then it gets one line with a count in each <see cref="Interval"/>. So an attack is visible, and cannot
/// fill the log.
/// </summary>
internal sealed partial class RefusalLog(Metrics metrics, TimeProvider time, ILogger<RefusalLog> log) : IDisposable
{
    /// <summary>How often a repeated refusal is logged again: seldom enough to read, and often enough to act.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(10);

    /// <summary>
    /// The most pairs of a reason and a name that are remembered. Further ones share the name <see cref="Others"/>, so that nobody can fill
    /// memory with names.
    /// </summary>
    public const int MaxRemembered = 256;

    /// <summary>The name for all that are not remembered one by one.</summary>
    public const string Others = "others";

    /// <summary>Reasons that no honest client gives. They are logged at Warning, the others at Information.</summary>
    private static readonly string[] Suspicious =
        ["invalid_token", "wrong_secret", "foreign_origin", "connection_displaced", "protocol_error"];

    private readonly Lock _gate = new();
    private readonly Dictionary<(string Reason, string Who), int> _untold = [];
    private ITimer? _timer; // runs only while refusals are remembered

    /// <summary>Counts and logs a refusal.</summary>
    /// <param name="reason">Why: a word from a fixed list, such as <c>Refusal.Reason</c>, and never a caller's own word.</param>
    /// <param name="who">A valid user id, or an address if there is no user.</param>
    public void Refused(string reason, string who)
    {
        metrics.Refused(reason);
        lock (_gate)
        {
            if (_untold.Count >= MaxRemembered && !_untold.ContainsKey((reason, who)))
                who = Others; // adds at most one pair for each reason
            var isKnown = _untold.TryGetValue((reason, who), out var count);
            _untold[(reason, who)] = isKnown ? count + 1 : 0;
            if (isKnown)
                return;
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

    /// <summary>Logs the counts of the interval that is over. Forgets everybody who was not refused in it.</summary>
    private void Tell()
    {
        KeyValuePair<(string Reason, string Who), int>[] counts;
        lock (_gate)
        {
            counts = [.. _untold.Where(refusal => refusal.Value > 0)];
            _untold.Clear();
            foreach (var (key, _) in counts)
                _untold[key] = 0;
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
