using SimpleChat.Settings;

namespace SimpleChat.Storage;

/// <summary>
/// <c>Chat:RetainDays</c>: erases delivered messages that are older, at start and every hour, a few at a time, through the writer's queue
/// like everything that is written: nobody waits for it longer than for a neighbour's message. What is undelivered is never erased by age.
/// Ids are never given out again.
/// </summary>
internal sealed partial class Retention(Database database, Writer writer, ChatOptions options, TimeProvider time, ILogger<Retention> log)
    : BackgroundService
{
    /// <summary>Messages in one write: some hundred row operations, about a millisecond.</summary>
    private const int Few = 64;

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
            // The server stops.
        }
    }

    private async Task EraseAsync(CancellationToken stoppingToken)
    {
        var since = (time.GetUtcNow() - TimeSpan.FromDays(options.RetainDays)).ToUnixTimeMilliseconds();
        var (after, erased) = (0L, 0);
        try
        {
            while (Read(since, ref after) is { } delivered)
            {
                stoppingToken.ThrowIfCancellationRequested();
                if (delivered.Count == 0)
                    continue;
                var erasure = new Erasure(delivered);
                await writer.EnqueueAsync(erasure);
                if (!await erasure.Written)
                    break; // storage fails: in an hour again
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

    /// <summary>Looks at the next few messages that are old enough. What is delivered once stays so.</summary>
    /// <param name="since">The age: what was sent before, in milliseconds since 1970-01-01 UTC.</param>
    /// <param name="after">Only above this id; moves.</param>
    /// <returns>Those of them that are delivered; null if there is none that is old enough.</returns>
    private List<long>? Read(long since, ref long after)
    {
        using var connection = database.OpenReader();
        using var rows = new Statement(connection,
            $"""
            SELECT Id, SentAt, EXISTS (SELECT 1 FROM InboxDB WHERE Recipient = m.Recipient AND MessageId = m.Id) FROM MessageDB m
            WHERE Id > ?1 ORDER BY Id LIMIT {Few}
            """);
        var (before, delivered) = (after, new List<long>());
        rows.Bind(1, after);
        while (rows.Read() && rows.Int64(1) < since)
        {
            after = rows.Int64(0);
            if (rows.Int64(2) == 0)
                delivered.Add(after);
        }

        rows.Reset();
        return after == before ? null : delivered;
    }

    /// <summary>Messages on their way out.</summary>
    private sealed class Erasure(List<long> ids) : AwaitedWrite
    {
        public override int Cost => 6 * ids.Count; // the message, and what the trigger erases beside it

        public override void Store(Transaction db) => db.Erase(ids);
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "Erased {Count} delivered messages that were older than {Days} days.")]
        public static partial void Erased(ILogger log, int count, int days);

        [LoggerMessage(2, LogLevel.Warning, "Old messages cannot be looked for: {Fault} Tried again in an hour.")]
        public static partial void ReadFailed(ILogger log, string fault);
    }
}
