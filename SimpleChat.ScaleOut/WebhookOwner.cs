using Npgsql;
using SimpleChat.Storage;
using SimpleChat.Webhooks;

namespace SimpleChat.ScaleOut;

/// <summary>
/// Sees to it that one node calls the webhooks: the one that holds an advisory lock of PostgreSQL, for as long as its connection lives. It
/// also follows what other nodes have registered. When the lock changes hands, a call that is under way may be made twice.
/// </summary>
internal sealed partial class WebhookOwner(
    PostgresDatabase database, IServiceProvider services, WebhookOptions options, TimeProvider time, ILogger<WebhookOwner> log)
    : BackgroundService
{
    /// <summary>How often a node tries to become the owner, and how late it hears of a registration.</summary>
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    /// <summary>
    /// PostgreSQL ends a session that says nothing for so long, and the lock goes with it: a node may be cut off, and the line not closed.
    /// The node itself gives up before, after <see cref="AnswerTimeout"/> seconds without an answer.
    /// </summary>
    private const string ReleaseWhenSilent = "SET idle_session_timeout = '6s'";

    private const int AnswerTimeout = 4;

    private TaskCompletionSource _turn = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Waits until this node is the owner.</summary>
    public Task WaitAsync(CancellationToken stop) => Volatile.Read(ref _turn).Task.WaitAsync(stop);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (options.AllowedHosts.Length == 0)
            return; // there are no webhooks
        await Task.Yield();
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                using var connection = database.OpenWriter();
                await FollowAsync(connection, stoppingToken);
            }
            catch (Exception e) when (StorageFault.Is(e) || e is InvalidOperationException)
            {
                Log.Failed(log, PostgresFault.Explain(e));
            }
            finally
            {
                Lose();
            }

            await Task.Delay(Interval, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Tries to take the lock, keeps the connection alive, and follows the table.</summary>
    private async Task FollowAsync(NpgsqlConnection connection, CancellationToken stop)
    {
        var registry = services.GetRequiredService<WebhookRegistry>();
        await ExecuteAsync(ReleaseWhenSilent);
        while (!stop.IsCancellationRequested)
        {
            // A lock that is held already is taken once more, which harms nothing: all go with the connection.
            if (await ExecuteAsync("SELECT pg_try_advisory_lock(5082)") is true)
                Volatile.Read(ref _turn).TrySetResult();
            await registry.RefreshAsync();
            await Task.Delay(Interval, time, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        async Task<object?> ExecuteAsync(string sql)
        {
            await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = AnswerTimeout };
            return await command.ExecuteScalarAsync(stop);
        }
    }

    private void Lose()
    {
        if (Volatile.Read(ref _turn).Task.IsCompleted)
            Volatile.Write(ref _turn, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
    }

    private static partial class Log
    {
        [LoggerMessage(46, LogLevel.Debug, "This node does not call webhooks just now: {Fault}")]
        public static partial void Failed(ILogger log, string fault);
    }
}
