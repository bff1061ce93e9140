using SimpleChat.Settings;

namespace SimpleChat.Storage;

/// <summary>
/// Erases delivered messages that are older than <c>Chat:RetainDays</c>, at the start and every hour. They go through the writer's queue, a
/// few in each write, so that nobody waits for them for long. An undelivered message is never erased because of its age. The id of an
/// erased message is never used again.
/// </summary>
internal sealed partial class Retention(
    IMessageReader reader, Writer writer, ChatOptions options, TimeProvider time, ILogger<Retention> log) : BackgroundService
{
    /// <summary>Messages in one write: that is some hundred row operations, or about a millisecond.</summary>
    private const int Few = 64;

    /// <summary>The message's row, and those that the trigger erases.</summary>
    private const int RowsOfMessage = 6;

    private static readonly TimeSpan Interval = TimeSpan.FromHours(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (options.RetainDays == 0)
            return;
        using var hour = new PeriodicTimer(Interval, time);
        try
        {
            do
            {
                await EraseAsync(stoppingToken);
            }
            while (await hour.WaitForNextTickAsync(stoppingToken));
        }
        catch (OperationCanceledException)
        {
            // The server stops, perhaps before it has started: then the host would call this a failure.
        }
    }

    private async Task EraseAsync(CancellationToken stoppingToken)
    {
        var since = (time.GetUtcNow() - TimeSpan.FromDays(options.RetainDays)).ToUnixTimeMilliseconds();
        var (after, erased) = (0L, 0);
        try
        {
            while (await reader.ReadOldAsync(since, after, Few) is var (delivered, upTo))
            {
                stoppingToken.ThrowIfCancellationRequested();
                after = upTo;
                if (delivered.Count == 0)
                    continue;
                if (!await writer.WriteAsync(db => db.Erase(delivered), cost: RowsOfMessage * delivered.Count))
                    break; // storage fails; the next hour tries again
                erased += delivered.Count;
            }
        }
        catch (Exception e) when (StorageFault.Is(e))
        {
            Log.ReadFailed(log, StorageFault.Explain(e));
        }

        if (erased > 0)
            Log.Erased(log, erased, options.RetainDays);
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "Erased {Count} delivered messages that were older than {Days} days.")]
        public static partial void Erased(ILogger log, int count, int days);

        [LoggerMessage(2, LogLevel.Warning, "Old messages cannot be looked for: {Fault} Tried again in an hour.")]
        public static partial void ReadFailed(ILogger log, string fault);
    }
}
