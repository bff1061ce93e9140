using Dapper;

namespace SimpleChat.Webhooks;

/// <summary>
/// Who has a webhook: WebhookDB, and a running <see cref="WebhookLine"/> for each of its rows. Changes go to the writer like everything that is
/// written (<see cref="PendingRegistration"/>), and take effect in commit order.
/// </summary>
internal sealed class WebhookRegistry(
    ChatDatabase database, UserShares shares, WebhookCaller caller, ChatService chat, WebhookOptions options, TimeProvider time, ILogger<WebhookLine> log)
    : IHostedService
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, WebhookLine> _lines = new(StringComparer.Ordinal);
    private bool _stopping;

    /// <summary>The user's, or null.</summary>
    public WebhookLine? Of(string user)
    {
        lock (_gate)
            return _lines.GetValueOrDefault(user);
    }

    /// <summary>Takes a committed change into effect: ends the user's line, and starts the new one, if there is one.</summary>
    /// <returns>Whether the user had one before.</returns>
    public bool Set(string user, Webhook? webhook)
    {
        lock (_gate)
        {
            var had = _lines.Remove(user, out var line);
            line?.Stop();
            if (webhook is not null && !_stopping)
                _lines[user] = new WebhookLine(webhook, shares.Hold(user), caller, chat, options, time, log);
            return had;
        }
    }

    /// <summary>Starts the lines of all that is registered. The database is open by now.</summary>
    public Task StartAsync(CancellationToken cancellationToken)
    {
        using var connection = database.OpenReader();
        foreach (var webhook in connection.Query<Webhook>("SELECT User, Url, Secret FROM WebhookDB"))
            Set(webhook.User, webhook);
        return Task.CompletedTask;
    }

    /// <summary>Ends all lines, before the writer ends, which takes their last acks.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        WebhookLine[] lines;
        lock (_gate)
        {
            _stopping = true;
            lines = [.. _lines.Values];
        }

        foreach (var line in lines)
            line.Stop();
        await Task.WhenAll(Array.ConvertAll(lines, line => line.Running)).WaitAsync(cancellationToken)
            .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        foreach (var line in lines)
            line.Dispose();
    }
}

/// <summary>A webhook to be registered, in the place of an earlier one, or (null) to be forgotten.</summary>
internal sealed class PendingRegistration(WebhookRegistry registry, string user, Webhook? webhook) : PendingWrite
{
    private static readonly ChatError NotStored = ChatError.StorageUnavailable with { Message = "Not known to be stored. Repeat it." };
    private readonly TaskCompletionSource<ChatError?> _written = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Completes with null when it is on disk and in effect, or with the refusal.</summary>
    public Task<ChatError?> Written => _written.Task;

    /// <summary>Whether there was one before.</summary>
    public bool Replaced { get; private set; }

    public override void Write(MessageTransaction transaction)
    {
        if (webhook is null)
            transaction.Execute("DELETE FROM WebhookDB WHERE User = ?1", user);
        else
            transaction.Execute("INSERT OR REPLACE INTO WebhookDB (User, Url, Secret) VALUES (?1, ?2, ?3)", user, webhook.Url, webhook.Secret);
    }

    public override void Committed()
    {
        Replaced = registry.Set(user, webhook);
        _written.TrySetResult(null);
    }

    public override void Refused() => _written.TrySetResult(NotStored);
}
