using SimpleChat.Queues;
using SimpleChat.Storage;

namespace SimpleChat.ScaleOut;

/// <summary>
/// Reads what was not announced: looks how far the database is, a few times a second, and reads what the chain is missing. One per node,
/// and not one per connection.
/// </summary>
internal sealed partial class TailLook(CommitChain chain, ITail reader, TimeProvider time, ILogger<TailLook> log)
    : BackgroundService
{
    /// <summary>How often the database is looked at. A commit that nobody announced is pushed that much later.</summary>
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(200);

    /// <summary>How often the chain is asked whether it misses something.</summary>
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(20);

    /// <summary>
    /// What is missing longer than this is read, while announcements come. On a busy machine they are late by tens of milliseconds, and to
    /// read what is on its way would make it busier.
    /// </summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(100);

    /// <summary>If none has come for so long, nothing is waited for: Redis may be away.</summary>
    private static readonly TimeSpan Silence = TimeSpan.FromMilliseconds(200);

    /// <summary>Commits of this node are added soon after PostgreSQL has answered, unless it does not answer.</summary>
    private static readonly TimeSpan OwnPatience = TimeSpan.FromSeconds(1);

    /// <summary>Whoever joins waits for a look at most this long.</summary>
    private static readonly TimeSpan JoinPatience = TimeSpan.FromSeconds(1);

    private const int PageSize = 1000;

    private readonly Signal _signal = new();
    private TaskCompletionSource<Snapshot?> _next = NewLook(); // of the look that begins next: null if it fails
    private volatile bool _isAwaited;

    /// <summary>
    /// Waits until this node knows all that is committed now. It would push to whoever joins it what was delivered elsewhere already.
    /// Everybody who joins at once shares a look.
    /// </summary>
    /// <returns>What the database showed then; null if it does not answer.</returns>
    public async ValueTask<Snapshot?> CatchUpAsync()
    {
        var started = time.GetTimestamp();
        while (JoinPatience - time.GetElapsedTime(started) is var left && left > TimeSpan.Zero)
        {
            var next = Volatile.Read(ref _next).Task;
            _isAwaited = true;
            _signal.Set();
            await ((Task)next).WaitAsync(left, time).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (next is { IsCompletedSuccessfully: true, Result: { } shown })
                return shown;
        }

        return null;
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var ticks = time.CreateTimer(_ => _signal.Set(), null, Tick, Tick);
        using var stopping = stoppingToken.Register(_signal.Set);
        var looked = time.GetTimestamp();
        var isAway = false;
        try
        {
            while (!stoppingToken.IsCancellationRequested)
            {
                await _signal.WaitAsync();
                try
                {
                    if (time.GetElapsedTime(looked) >= Look || (_isAwaited && !isAway))
                    {
                        looked = time.GetTimestamp();
                        await LookAsync(stoppingToken);
                        isAway = false;
                    }
                    else if (!isAway && chain.Missing(Patience) is var (_, upTo))
                    {
                        await ReadAsync(upTo, TimeSpan.Zero, stoppingToken);
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

    private async Task LookAsync(CancellationToken stop)
    {
        _isAwaited = false;
        var asked = Interlocked.Exchange(ref _next, NewLook()); // who asks from now on may know more than this look will see
        Snapshot? shown = null;
        try
        {
            var look = await reader.LookAsync();
            await ReadAsync(look.LastId, chain.HasHeard(Silence) ? Patience : TimeSpan.Zero, stop);
            shown = look.Shown;
        }
        finally
        {
            asked.SetResult(shown);
        }
    }

    /// <summary>Reads all that the chain misses up to this id.</summary>
    /// <param name="upTo">The id, which is committed.</param>
    /// <param name="patience">How long an announcement may still take.</param>
    /// <param name="stop">The node stops.</param>
    private async Task ReadAsync(long upTo, TimeSpan patience, CancellationToken stop)
    {
        var (started, begun) = (time.GetTimestamp(), chain.Begun); // if one of them is this node's, its commit has begun by now
        while (chain.Known < upTo && time.GetElapsedTime(started) < (chain.HasAdded(begun) ? patience : OwnPatience))
            await Task.Delay(1, stop);
        while (chain.Known is var known && known < upTo)
        {
            var page = await reader.ReadTailAsync(known, upTo, PageSize);
            chain.AddRead(page.Messages, page.UpTo);
        }
    }

    private static TaskCompletionSource<Snapshot?> NewLook() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private static partial class Log
    {
        [LoggerMessage(45, LogLevel.Debug, "The database cannot be looked at: {Fault}")]
        public static partial void Failed(ILogger log, string fault);
    }
}
