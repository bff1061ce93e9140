using SimpleChat.Limits;
using SimpleChat.Storage;
using SimpleChat.Wire;

namespace SimpleChat.Webhooks;

/// <summary>
/// Carries one user's undelivered messages to that user's webhook, for as long as the registration stands: in order, one call at a time. A
/// message is tried until it is answered 2xx, or has left the inbox some other way; one that the receiver refuses is skipped in the end,
/// and stays in the inbox. It waits for nobody but its own receiver, and nobody waits for it. Nobody is online by it.
/// </summary>
internal sealed partial class WebhookLine : IDisposable
{
    /// <summary>
    /// A message is skipped when it was refused so many times, which takes about 11 s with the default pauses: a 4xx says that the same
    /// request will not do (RFC 9110, section 15.5), and some proxies say 404 while a receiver restarts.
    /// </summary>
    private const int MaxRefusals = 5;

    private readonly WebhookRegistry _registry;
    private readonly WebhookPace _pace;
    private readonly WebhookCaller _caller;
    private readonly Chat _chat;
    private readonly MessageReader _store;
    private readonly WebhookOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly Connection _connection; // wakes the line; the messages come out of the inbox
    private readonly CancellationTokenSource _stop = new();
    private long _skippedUpTo;
    private string? _failure;

    public WebhookLine(
        Webhook webhook, UserShare share, long skippedUpTo, WebhookRegistry registry, WebhookPace pace, WebhookCaller caller, Chat chat,
        MessageReader store,
        WebhookOptions options, TimeProvider time, ILogger log)
    {
        (Webhook, _skippedUpTo, _registry, _pace, _caller) = (webhook, skippedUpTo, registry, pace, caller);
        (_chat, _store, _options, _time, _log) = (chat, store, options, time, log);
        _connection = new Connection(share, messagesOnly: true) { IsAttended = false };
        Running = Task.Run(RunAsync);
    }

    /// <summary>The registration.</summary>
    public Webhook Webhook { get; }

    /// <summary>What its user may have of the server.</summary>
    public UserShare Share => _connection.Share;

    /// <summary>Completes after <see cref="Stop"/>.</summary>
    public Task Running { get; }

    /// <summary>Why the last call failed, in words for the user; null if it did not.</summary>
    public string? Failure => Volatile.Read(ref _failure);

    /// <summary>
    /// What is in the inbox up to this id was skipped: the dead letters. Durable, so that a restart does not try them again.
    /// </summary>
    public long SkippedUpTo => Volatile.Read(ref _skippedUpTo);

    /// <summary>A skip is on disk. It counts for nothing if the user wanted all tried again meanwhile.</summary>
    public void Skipped(long from, long upTo) => Interlocked.CompareExchange(ref _skippedUpTo, upTo, from);

    /// <summary>The user registered the same webhook again: everything in the inbox is tried again, soon.</summary>
    public void TryAgain()
    {
        Volatile.Write(ref _skippedUpTo, 0);
        _pace.Hurry();
        _connection.Signal.Set();
    }

    /// <summary>Ends it, a call on its way included; what was not answered stays in the inbox.</summary>
    public void Stop() => _ = _stop.CancelAsync(); // not on the writer's thread, which may be the one that calls

    public void Dispose() => _stop.Dispose();

    private async Task RunAsync()
    {
        try
        {
            using var stopping = _stop.Token.Register(_connection.Signal.Set);
            while (_chat.Join(_connection, position: null) is not null)
                await Task.Delay(_options.FirstRetry, _time, _stop.Token);
            while (true)
                await CarryAsync();
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
        }
        finally
        {
            _chat.Leave(_connection);
            Share.Release();
        }
    }

    /// <summary>Carries a page of the inbox, or waits for a message.</summary>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    private async Task CarryAsync()
    {
        try
        {
            var from = SkippedUpTo;
            var messages = Page.Of(_store.ReadInbox(Webhook.User, from, long.MaxValue), long.MaxValue).Messages;
            foreach (var message in messages)
                await DeliverAsync(message, from);
            if (messages.Count == 0)
                await _connection.Signal.WaitAsync();
            _stop.Token.ThrowIfCancellationRequested();
        }
        catch (Exception e) when (StorageFault.Is(e))
        {
            await Task.Delay(_options.FirstRetry, _time, _stop.Token); // storage fails; the core says so to whoever watches
        }
        catch (Exception e) when (!_stop.IsCancellationRequested)
        {
            Log.Fault(_log, e, Webhook.User);
            await Task.Delay(_options.LongestRetry, _time, _stop.Token);
        }
    }

    /// <summary>Tries a message until it is delivered, out of the inbox or skipped, or others are to be tried first.</summary>
    private async Task DeliverAsync(Message message, long from)
    {
        var (started, refusals) = (_time.GetTimestamp(), 0);
        while (true)
        {
            await _pace.WaitAsync(_stop.Token);
            if (SkippedUpTo != from || !_store.ReadInbox(Webhook.User, message.Id - 1, message.Id).Any())
                return;
            _pace.Begin();
            var answer = await _caller.CallAsync(Webhook, message, _stop.Token);
            Note(message, answer);
            if (answer.Failure is null)
            {
                _pace.Reset();
                await WrittenAsync(() => AckAsync(message.Id));
                return;
            }

            _pace.Failed(answer.RetryAfter);
            if (answer.IsGone)
            {
                Log.Gone(_log, Webhook.User);
                await WrittenAsync(() => _registry.EndAsync(this));
            }
            else if (answer.IsRefusal && ++refusals == MaxRefusals || _time.GetElapsedTime(started) >= _options.GiveUpAfter)
            {
                Log.Skipped(_log, Webhook.User, message.Id);
                await WrittenAsync(() => _registry.SkipAsync(this, from, message.Id));
                _pace.Reset();
            }
        }
    }

    private void Note(Message message, WebhookAnswer answer)
    {
        if (answer.Failure is not null && Failure is null)
            Log.Failed(_log, Webhook.User, message.Id, answer.Failure, answer.Detail);
        if (answer.Failure is null && Failure is not null)
            Log.Works(_log, Webhook.User, message.Id);
        Volatile.Write(ref _failure, answer.Failure);
    }

    private async Task<Refusal?> AckAsync(long id)
    {
        var reply = new Reply();
        await _chat.Writer.EnqueueAsync(new Delivery(_chat, Share, [new IdRange(id, id)], 1, reply));
        return await reply.Outcome;
    }

    /// <summary>Writes until it is known to be on disk.</summary>
    private async Task WrittenAsync(Func<Task<Refusal?>> write)
    {
        while (await write() is not null)
            await Task.Delay(_options.FirstRetry, _time, _stop.Token);
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
