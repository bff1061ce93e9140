using SimpleChat.Limits;
using SimpleChat.Storage;
using SimpleChat.Wire;

namespace SimpleChat.Webhooks;

/// <summary>
/// Carries one user's undelivered messages to that user's webhook: in order, and one call at a time. It tries a message until the receiver
/// answers 2xx, or the message leaves the inbox in another way. A message that the receiver refuses is skipped in the end, and stays in the
/// inbox. The line waits only for its own receiver, and nobody waits for the line. It does not make its user online.
/// </summary>
internal sealed partial class WebhookLine(
    WebhookRow webhook, UserShare share, WebhookRegistry registry, WebhookPace pace, WebhookCaller caller, Chat chat,
    IMessageReader reader, WebhookTurn turn, WebhookOptions options, TimeProvider time, ILogger log) : IDisposable
{
    /// <summary>
    /// A message is skipped after so many refusals, which take about 11 s with the default pauses. A 4xx means that the same request will
    /// fail again (RFC 9110, section 15.5). But some proxies answer 404 while a receiver restarts.
    /// </summary>
    private const int MaxRefusals = 5;

    private readonly Connection _connection = new(share, messagesOnly: true) { IsAttended = false }; // only wakes the line
    private readonly CancellationTokenSource _stop = new();
    private long _skippedUpTo = webhook.SkippedUpTo;
    private string? _failure;

    /// <summary>The registration, as it was when the line began.</summary>
    public WebhookRow Webhook => webhook;

    /// <summary>Whether this is the line of that registration, however much was skipped.</summary>
    public bool Carries(WebhookRow row) => (webhook.Url, webhook.Secret) == (row.Url, row.Secret);

    public UserShare Share => _connection.Share;

    /// <summary>Completes after <see cref="Stop"/>, if the line was started.</summary>
    public Task Running { get; private set; } = Task.CompletedTask;

    /// <summary>Why the last call failed, in words for the user; null if it did not.</summary>
    public string? Failure => Volatile.Read(ref _failure);

    /// <summary>
    /// Messages in the inbox up to this id were skipped: they are the dead letters. The id is durable, so a restart does not try them
    /// again.
    /// </summary>
    public long SkippedUpTo => Volatile.Read(ref _skippedUpTo);

    /// <summary>Called when a skip is on disk. It is ignored if the user meanwhile wanted all messages tried again.</summary>
    public void Skipped(long from, long upTo) => Interlocked.CompareExchange(ref _skippedUpTo, upTo, from);

    /// <summary>Called when the user registers the same webhook again. Everything in the inbox is tried again, soon.</summary>
    public void TryAgain()
    {
        Volatile.Write(ref _skippedUpTo, 0);
        pace.Hurry();
        _connection.Signal.Set();
    }

    /// <summary>Starts to carry messages. Called once.</summary>
    public void Start() => Running = Task.Run(RunAsync);

    /// <summary>Ends the line, and a call that is under way. Messages without an answer stay in the inbox.</summary>
    public void Stop() => _ = _stop.CancelAsync(); // not on the caller's thread, which may be the writer's

    public void Dispose() => _stop.Dispose();

    private async Task RunAsync()
    {
        try
        {
            using var stopping = _stop.Token.Register(_connection.Signal.Set);
            while (await chat.JoinAsync(_connection, position: null) is not null)
                await Task.Delay(options.FirstRetry, time, _stop.Token);
            while (true)
                await CarryAsync();
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
        }
        finally
        {
            chat.Leave(_connection);
            Share.Release();
        }
    }

    /// <summary>Carries a page of the inbox, or waits for a message if the inbox is empty.</summary>
    /// <exception cref="OperationCanceledException">The line was stopped.</exception>
    private async Task CarryAsync()
    {
        try
        {
            var from = SkippedUpTo;
            var messages = (await Page.OfAsync(reader.ReadInbox(Webhook.User, from, long.MaxValue), long.MaxValue)).Messages;
            foreach (var message in messages)
                await DeliverAsync(message, from);
            if (messages.Count == 0)
                await _connection.Signal.WaitAsync();
            _stop.Token.ThrowIfCancellationRequested();
        }
        catch (Exception e) when (StorageFault.Is(e))
        {
            await Task.Delay(options.FirstRetry, time, _stop.Token); // storage fails; the writer logs it
        }
        catch (Exception e) when (!_stop.IsCancellationRequested)
        {
            Log.Fault(log, e, Webhook.User);
            await Task.Delay(options.LongestRetry, time, _stop.Token);
        }
    }

    /// <summary>Tries a message until it is delivered, skipped or out of the inbox, or until earlier ones are due again.</summary>
    private async Task DeliverAsync(Message message, long from)
    {
        var (started, refusals) = (time.GetTimestamp(), 0);
        while (true)
        {
            await turn(_stop.Token);
            await pace.WaitAsync(_stop.Token);
            if (SkippedUpTo != from || !await reader.ReadInbox(Webhook.User, message.Id - 1, message.Id).AnyAsync())
                return;
            pace.Begin();
            var answer = await caller.CallAsync(Webhook, message, _stop.Token);
            if (answer.Failure is null)
                pace.Reset();
            else
                pace.Failed(answer.RetryAfter);
            Note(message, answer); // from here on a PUT shortens the pause
            if (answer.Failure is null)
            {
                await WrittenAsync(() => AckAsync(message.Id));
                return;
            }

            if (answer.IsGone)
            {
                Log.Gone(log, Webhook.User);
                await WrittenAsync(() => registry.EndAsync(this));
            }
            else if (answer.IsRefusal && ++refusals == MaxRefusals || time.GetElapsedTime(started) >= options.GiveUpAfter)
            {
                Log.Skipped(log, Webhook.User, message.Id);
                await WrittenAsync(() => registry.SkipAsync(this, from, message.Id));
                pace.Reset();
            }
        }
    }

    private void Note(Message message, WebhookAnswer answer)
    {
        if (answer.Failure is not null && Failure is null)
            Log.Failed(log, Webhook.User, message.Id, answer.Failure, answer.Detail);
        if (answer.Failure is null && Failure is not null)
            Log.Works(log, Webhook.User, message.Id);
        Volatile.Write(ref _failure, answer.Failure);
    }

    private async Task<Refusal?> AckAsync(long id)
    {
        var reply = new Reply();
        await chat.Writer.EnqueueAsync(new Delivery(chat, Share, [new IdRange(id, id)], 1, reply));
        return await reply.Outcome;
    }

    /// <summary>Repeats a write until it is known to be on disk.</summary>
    private async Task WrittenAsync(Func<Task<Refusal?>> write)
    {
        while (await write() is not null)
            await Task.Delay(options.FirstRetry, time, _stop.Token);
    }

    private static partial class Log
    {
        [LoggerMessage(30, LogLevel.Warning, "The webhook of {User} did not take message {Id}. {Failure} {Detail}")]
        public static partial void Failed(ILogger log, string user, long id, string failure, string? detail);

        [LoggerMessage(31, LogLevel.Information, "The webhook of {User} works again, from message {Id} on.")]
        public static partial void Works(ILogger log, string user, long id);

        [LoggerMessage(32, LogLevel.Error, "The webhook of {User} met a fault of the server.")]
        public static partial void Fault(ILogger log, Exception e, string user);

        [LoggerMessage(33, LogLevel.Warning, "The webhook of {User} refuses message {Id}; it is skipped, and stays in the inbox.")]
        public static partial void Skipped(ILogger log, string user, long id);

        [LoggerMessage(34, LogLevel.Information, "The webhook of {User} answered 410: its registration ends.")]
        public static partial void Gone(ILogger log, string user);
    }
}
