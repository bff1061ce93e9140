namespace SimpleChat.Webhooks;

/// <summary>
/// Carries one user's messages to that user's webhook: in order, one call at a time, each until it is answered 2xx, for as long as the
/// registration stands. While calls succeed it drains a <see cref="Connection"/> like any other, and the user is online; while they fail
/// it has none: the user is offline, and the messages wait in the inbox. It waits for nobody but its own receiver, and nobody waits for it.
/// </summary>
internal sealed partial class WebhookLine : IDisposable
{
    private readonly Webhook _webhook;
    private readonly UserShare _share;
    private readonly WebhookCaller _caller;
    private readonly ChatService _chat;
    private readonly WebhookOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly CancellationTokenSource _stop = new();
    private string? _failure;

    public WebhookLine(Webhook webhook, UserShare share, WebhookCaller caller, ChatService chat, WebhookOptions options, TimeProvider time, ILogger log)
    {
        (_webhook, _share, _caller, _chat, _options, _time, _log) = (webhook, share, caller, chat, options, time, log);
        Running = Task.Run(RunAsync);
    }

    /// <summary>Completes after <see cref="Stop"/>.</summary>
    public Task Running { get; }

    /// <summary>Where the messages go.</summary>
    public string Url => _webhook.Url;

    /// <summary>Why the last call failed, in words; null if it did not.</summary>
    public string? Failure => Volatile.Read(ref _failure);

    /// <summary>Ends it, a call on its way included; what was not answered stays in the inbox.</summary>
    public void Stop() => _ = _stop.CancelAsync(); // not on the writer's thread, which may be the one that calls

    public void Dispose()
    {
        _stop.Dispose();
        _share.Release();
    }

    private async Task RunAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                await DrainAsync();
                await RetryAsync();
            }
            catch (OperationCanceledException) when (_stop.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                Log.Fault(_log, e, _webhook.User);
                await Task.Delay(_options.LongestRetry, _time, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    /// <summary>Passes on what is undelivered and what comes, until a call fails. Does nothing if the server takes no connection now.</summary>
    private async Task DrainAsync()
    {
        var connection = new Connection(_share, messagesOnly: true);
        if (_chat.Join(connection, position: null) is not null)
            return;
        try
        {
            using var stopping = _stop.Token.Register(() => connection.End(ConnectionEnd.ShuttingDown));
            using var drain = _chat.DrainOf(connection);
            while (connection.Ending is null)
            {
                var messages = drain.Next().Messages;
                foreach (var message in messages)
                {
                    if (message.To == _webhook.User && !await TryDeliverAsync(message))
                        return;
                }

                if (messages.Count == 0 && !drain.HasMore)
                    await connection.WaitAsync();
            }
        }
        finally
        {
            _chat.Leave(connection);
        }
    }

    /// <summary>Tries the oldest undelivered message again and again, until it is through, or was delivered some other way.</summary>
    private async Task RetryAsync()
    {
        for (var pause = _options.FirstRetry; ; pause = pause * 2 < _options.LongestRetry ? pause * 2 : _options.LongestRetry)
        {
            await Task.Delay(pause * (1 - Random.Shared.NextDouble() / 2), _time, _stop.Token);
            try
            {
                if (_chat.Inbox(_webhook.User) is not [var oldest, ..] || await TryDeliverAsync(oldest))
                    return;
            }
            catch (Microsoft.Data.Sqlite.SqliteException)
            {
                // Storage fails; the core says so to whoever watches.
            }
        }
    }

    private async Task<bool> TryDeliverAsync(Message message)
    {
        var failure = await _caller.CallAsync(_webhook, message, _stop.Token);
        if (failure is not null && Failure is null)
            Log.Failed(_log, _webhook.User, message.Id, failure);
        if (failure is null && Failure is not null)
            Log.Works(_log, _webhook.User, message.Id);
        Volatile.Write(ref _failure, failure);
        if (failure is not null)
            return false;
        while (await AckAsync(message.Id) is not null)
            await Task.Delay(_options.FirstRetry, _time, _stop.Token);
        return true;
    }

    private async Task<ChatError?> AckAsync(long id)
    {
        var reply = new TaskCompletionSource<ChatError?>(TaskCreationOptions.RunContinuationsAsynchronously);
        await _chat.DeliverAsync(new PendingAck(_chat, _share, [id], reply.SetResult));
        return await reply.Task;
    }

    private static partial class Log
    {
        [LoggerMessage(30, LogLevel.Warning, "The webhook of {User} did not take message {Id}; tried again until it does. {Failure}")]
        public static partial void Failed(ILogger log, string user, long id, string failure);

        [LoggerMessage(31, LogLevel.Information, "The webhook of {User} works again, from message {Id} on.")]
        public static partial void Works(ILogger log, string user, long id);

        [LoggerMessage(32, LogLevel.Error, "The webhook of {User} met a fault of the server.")]
        public static partial void Fault(ILogger log, Exception e, string user);
    }
}
