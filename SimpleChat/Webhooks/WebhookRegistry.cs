using SimpleChat.Limits;
using SimpleChat.Storage;
using SimpleChat.Wire;

namespace SimpleChat.Webhooks;

/// <summary>Waits until this server may call webhooks. A single server always may; of several on one database one may.</summary>
internal delegate Task WebhookTurn(CancellationToken stop);

/// <summary>
/// Keeps the webhooks: table WebhookDB, and a running <see cref="WebhookLine"/> for each of its rows. Changes go through the writer's
/// queue, and take effect in commit order.
/// </summary>
internal sealed class WebhookRegistry(
    Writer writer, UserShares shares, WebhookCaller caller, Chat chat, IMessageReader reader,
    WebhookTurn turn, WebhookOptions options, TimeProvider time, ILogger<WebhookLine> log) : IHostedService
{
    private static readonly Refusal NotStored = Refusal.StorageUnavailable with { Message = "Not known to be stored. Repeat it." };

    private readonly Lock _gate = new();

    // Guarded by _gate.
    private readonly Dictionary<string, WebhookLine> _lines = new(StringComparer.Ordinal);
    // A pace outlives its line, so that the user's next line inherits it.
    private readonly Dictionary<string, WebhookPace> _paces = new(StringComparer.Ordinal);
    private bool _stopping;

    public WebhookLine? Of(string user)
    {
        lock (_gate)
            return _lines.GetValueOrDefault(user);
    }

    /// <summary>Registers a webhook, which replaces an earlier one. Everything in the inbox is tried.</summary>
    /// <returns>The refusal, or null; and whether there was an earlier webhook.</returns>
    public async Task<(Refusal? Error, bool Replaced)> PutAsync(WebhookRow webhook, UserShare share)
    {
        var replaced = false;
        var error = await WriteAsync(share, db => db.Put(webhook), () => replaced = Set(webhook));
        return (error, replaced);
    }

    /// <summary>Deletes the user's webhook, if there is one.</summary>
    public Task<Refusal?> DeleteAsync(UserShare share) =>
        WriteAsync(share, db => db.DeleteWebhook(share.User, only: null), () => Remove(share.User));

    /// <summary>Deletes a webhook whose receiver wants no more calls. One that was registered meanwhile stays.</summary>
    public Task<Refusal?> EndAsync(WebhookLine line) => WriteAsync(
        line.Share, db => db.DeleteWebhook(line.Webhook.User, line.Webhook),
        () => Remove(line.Webhook.User, line));

    /// <summary>
    /// Skips the user's messages above <paramref name="from"/> up to <paramref name="upTo"/>. Does nothing if the user meanwhile wanted all
    /// tried again.
    /// </summary>
    public Task<Refusal?> SkipAsync(WebhookLine line, long from, long upTo) => WriteAsync(
        line.Share, db => db.SkipWebhook(line.Webhook with { SkippedUpTo = from }, upTo), () => line.Skipped(from, upTo));

    /// <summary>Counts the dead letters of the user's webhook, and finds the oldest one's id, or 0.</summary>
    public ValueTask<(long Count, long OldestId)> DeadLettersAsync(WebhookLine line) =>
        reader.CountInboxAsync(line.Webhook.User, line.SkippedUpTo);

    /// <summary>Starts a line for every registered webhook. The database is open by now.</summary>
    public Task StartAsync(CancellationToken cancellationToken) => RefreshAsync();

    /// <summary>Follows what the table says. Other servers may have changed it.</summary>
    public async Task RefreshAsync()
    {
        var rows = await reader.ReadWebhooksAsync();
        foreach (var row in rows)
        {
            if (Of(row.User) is not { } line || !line.Carries(row))
            {
                Remove(row.User);
                Start(row);
            }
            else if (row.SkippedUpTo < line.SkippedUpTo)
            {
                line.TryAgain(); // registered again
            }
        }

        string[] users;
        lock (_gate)
            users = [.. _lines.Keys.Except(rows.Select(row => row.User))];
        foreach (var user in users)
            Remove(user);
    }

    /// <summary>Ends all lines. The writer ends later, so that it can store their last acks.</summary>
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
        await Task.WhenAll(lines.Select(line => line.Running)).WaitAsync(cancellationToken)
            .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        foreach (var line in lines)
            line.Dispose();
    }

    /// <summary>Makes a registration take effect. If the webhook is the same as before, its line goes on.</summary>
    /// <returns>Whether the user had a webhook before.</returns>
    private bool Set(WebhookRow webhook)
    {
        if (Of(webhook.User) is { } same && same.Carries(webhook))
        {
            same.TryAgain();
            return true;
        }

        var had = Remove(webhook.User);
        Start(webhook);
        return had;
    }

    private void Start(WebhookRow webhook)
    {
        lock (_gate)
        {
            if (_stopping)
                return;
            if (!_paces.TryGetValue(webhook.User, out var pace))
                _paces[webhook.User] = pace = new WebhookPace(options, time);
            pace.Hurry();
            var line = new WebhookLine(
                webhook, shares.Hold(webhook.User), this, pace, caller, chat, reader, turn, options, time, log);
            _lines[webhook.User] = line;
            line.Start();
        }
    }

    /// <summary>Ends the user's line; if <paramref name="only"/> is given, only that one. Returns whether a line was ended.</summary>
    private bool Remove(string user, WebhookLine? only = null)
    {
        lock (_gate)
        {
            if (!_lines.TryGetValue(user, out var line) || line != (only ?? line))
                return false;
            _lines.Remove(user);
            if (_paces[user].IsIdle)
                _paces.Remove(user);
            line.Stop();
            return true;
        }
    }

    private async Task<Refusal?> WriteAsync(UserShare share, Action<ITransaction> write, Action committed) =>
        await writer.WriteAsync(write, share: share, committed: committed) ? null : NotStored;
}
