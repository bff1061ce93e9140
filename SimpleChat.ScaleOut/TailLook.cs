using SimpleChat.Storage;

namespace SimpleChat.ScaleOut;

/// <summary>
/// Reads what was not announced: looks how far the database is, a few times a second, and reads what the chain is missing. One per node,
/// and not one per connection.
/// </summary>
internal sealed partial class TailLook(CommitChain chain, PostgresReader reader, TimeProvider time, ILogger<TailLook> log)
    : BackgroundService
{
    /// <summary>How often the database is looked at. A commit that nobody announced is pushed that much later.</summary>
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(200);

    /// <summary>How often the chain is asked whether it misses something.</summary>
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(20);

    /// <summary>Announcements overtake one another by less than this, mostly. What is missing longer is read.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(30);

    /// <summary>Commits of this node are added soon after PostgreSQL has answered, unless it does not answer.</summary>
    private static readonly TimeSpan OwnPatience = TimeSpan.FromSeconds(1);

    /// <summary>What was committed longer ago than this was offered, if the last look succeeded.</summary>
    private static readonly TimeSpan MaxLag = TimeSpan.FromMilliseconds(600);

    /// <summary>Whoever joins waits for the next look at most this long.</summary>
    private static readonly TimeSpan JoinPatience = TimeSpan.FromSeconds(1);

    private const int PageSize = 1000;

    private long _seen = time.GetTimestamp(); // what was committed before it was offered
    private TaskCompletionSource _next = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>
    /// Waits until this node knows what was committed lately. A node that stood still, or was cut off, would push to whoever joins it what
    /// was delivered elsewhere meanwhile.
    /// </summary>
    public async ValueTask CatchUpAsync()
    {
        if (time.GetElapsedTime(Volatile.Read(ref _seen)) > MaxLag)
            await Volatile.Read(ref _next).Task.WaitAsync(JoinPatience, time).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var ticks = new PeriodicTimer(Tick, time);
        var looked = time.GetTimestamp();
        var isAway = false;
        try
        {
            while (await ticks.WaitForNextTickAsync(stoppingToken))
            {
                try
                {
                    if (time.GetElapsedTime(looked) >= Look)
                    {
                        looked = time.GetTimestamp();
                        await ReadAsync(await reader.ReadLastIdAsync(), stoppingToken);
                        isAway = false;
                        Volatile.Write(ref _seen, looked);
                        Interlocked.Exchange(ref _next, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously))
                            .SetResult();
                    }
                    else if (!isAway && chain.Missing(Patience) is var (_, upTo))
                    {
                        await ReadAsync(upTo, stoppingToken);
                    }
                }
                catch (Exception e) when (StorageFault.Is(e))
                {
                    Log.Failed(log, PostgresFault.Explain(e)); // tried again at the next look, and the writer says what is wrong
                    isAway = true;
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The node stops.
        }
    }

    /// <summary>Reads all that the chain misses up to this id.</summary>
    /// <param name="upTo">The id, which is committed.</param>
    /// <param name="stop">The node stops.</param>
    private async Task ReadAsync(long upTo, CancellationToken stop)
    {
        var (started, begun) = (time.GetTimestamp(), chain.Begun); // if one of them is this node's, its commit has begun by now
        while (chain.Known < upTo && !chain.HasAdded(begun) && time.GetElapsedTime(started) < OwnPatience)
            await Task.Delay(1, stop);
        while (chain.Known is var known && known < upTo)
        {
            var page = await reader.ReadTailAsync(known, upTo, PageSize);
            chain.AddRead(page.Messages, page.UpTo);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(45, LogLevel.Debug, "The database cannot be looked at: {Fault}")]
        public static partial void Failed(ILogger log, string fault);
    }
}
