using Dapper;
using SimpleChat.Limits;
using SimpleChat.Storage;
using SimpleChat.Wire;

namespace SimpleChat.Webhooks;

/// <summary>
/// Keeps the webhooks: table WebhookDB, and a running <see cref="WebhookLine"/> for each of its rows. Changes go through the writer's queue
/// (<see cref="PendingChange"/>), and take effect in commit order.
/// </summary>
internal sealed class WebhookRegistry(
    Database database, Writer writer, UserShares shares, WebhookEraser eraser, WebhookCaller caller, Chat chat, MessageReader store,
    WebhookOptions options, TimeProvider time, ILogger<WebhookLine> log) : IHostedService
{
    private readonly Lock _gate = new();

    // Guarded by _gate.
    private readonly Dictionary<string, WebhookLine> _lines = new(StringComparer.Ordinal);
    // A pace outlives its line, so that the user's next line inherits it.
    private readonly Dictionary<string, WebhookPace> _paces = new(StringComparer.Ordinal);
    private bool _stopping;

    /// <summary>Returns the user's line; null if there is none.</summary>
    public WebhookLine? Of(string user)
    {
        lock (_gate)
            return _lines.GetValueOrDefault(user);
    }

    /// <summary>Registers a webhook, which replaces an earlier one. Everything in the inbox is tried.</summary>
    /// <returns>The refusal, or null; and whether there was an earlier webhook.</returns>
    public async Task<(Refusal? Error, bool Replaced)> PutAsync(Webhook webhook, UserShare share)
    {
        var replaced = false;
        var error = await WriteAsync(
            share, () => replaced = Set(webhook),
            "INSERT OR REPLACE INTO WebhookDB (User, Url, Secret) VALUES (?1, ?2, ?3)", webhook.User, webhook.Url, webhook.Secret);
        return (error, replaced);
    }

    /// <summary>Deletes the user's webhook, if there is one.</summary>
    /// <returns>The refusal, or null.</returns>
    public Task<Refusal?> DeleteAsync(UserShare share) =>
        WriteAsync(share, () => Remove(share.User, line => true), "DELETE FROM WebhookDB WHERE User = ?1", share.User);

    /// <summary>Deletes a webhook whose receiver wants no more calls. One that was registered meanwhile stays.</summary>
    /// <returns>The refusal, or null.</returns>
    public Task<Refusal?> EndAsync(WebhookLine line) => WriteAsync(
        line.Share, () => Remove(line.Webhook.User, other => other == line),
        "DELETE FROM WebhookDB WHERE User = ?1 AND Url = ?2 AND Secret = ?3", line.Webhook.User, line.Webhook.Url, line.Webhook.Secret);

    /// <summary>
    /// Skips the user's messages above <paramref name="from"/> up to <paramref name="upTo"/>. Does nothing if the user meanwhile wanted all
    /// tried again.
    /// </summary>
    /// <returns>The refusal, or null.</returns>
    public Task<Refusal?> SkipAsync(WebhookLine line, long from, long upTo) => WriteAsync(
        line.Share, () => line.Skipped(from, upTo),
        FormattableString.Invariant(
            $"UPDATE WebhookDB SET SkippedUpTo = {upTo} WHERE User = ?1 AND Url = ?2 AND Secret = ?3 AND SkippedUpTo = {from}"),
        line.Webhook.User, line.Webhook.Url, line.Webhook.Secret);

    /// <summary>Counts the dead letters of the user's webhook, and finds the oldest one's id, or 0.</summary>
    public (long Count, long OldestId) DeadLetters(WebhookLine line)
    {
        using var connection = database.OpenReader();
        return connection.QuerySingle<(long, long)>(
            """
            SELECT count(*), coalesce(min(m.Id), 0) FROM InboxDB i CROSS JOIN MessageDB m ON m.Id = i.MessageId
            WHERE i.Recipient = @User AND i.MessageId <= @SkippedUpTo
            """, new { line.Webhook.User, line.SkippedUpTo });
    }

    /// <summary>Starts a line for every registered webhook. The database is open by now.</summary>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        using var connection = database.OpenReader();
        foreach (var row in connection.Query<(string User, string Url, string Secret, long SkippedUpTo)>(
            "SELECT User, Url, Secret, SkippedUpTo FROM WebhookDB"))
            Start(new Webhook(row.User, row.Url, row.Secret), row.SkippedUpTo);
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
        await Task.WhenAll([eraser.StopAsync(), .. lines.Select(line => line.Running)]).WaitAsync(cancellationToken)
            .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        foreach (var line in lines)
            line.Dispose();
    }

    /// <summary>Makes a registration take effect. If the webhook is the same as before, its line goes on.</summary>
    /// <returns>Whether the user had a webhook before.</returns>
    private bool Set(Webhook webhook)
    {
        if (Of(webhook.User) is { } same && same.Webhook == webhook)
        {
            same.TryAgain();
            return true;
        }

        var had = Remove(webhook.User, line => true);
        Start(webhook, skippedUpTo: 0);
        return had;
    }

    private void Start(Webhook webhook, long skippedUpTo)
    {
        lock (_gate)
        {
            if (_stopping)
                return;
            if (!_paces.TryGetValue(webhook.User, out var pace))
                _paces[webhook.User] = pace = new WebhookPace(options, time);
            pace.Hurry();
            var line = new WebhookLine(
                webhook, shares.Hold(webhook.User), skippedUpTo, this, pace, caller, chat, store, options, time, log);
            _lines[webhook.User] = line;
            line.Start();
        }
    }

    /// <summary>Ends the user's line, if <paramref name="isMeant"/> accepts it.</summary>
    /// <returns>Whether a line was ended.</returns>
    private bool Remove(string user, Predicate<WebhookLine> isMeant)
    {
        lock (_gate)
        {
            if (!_lines.TryGetValue(user, out var line) || !isMeant(line))
                return false;
            _lines.Remove(user);
            if (_paces[user].IsIdle)
                _paces.Remove(user);
            line.Stop();
        }

        eraser.Erase();
        return true;
    }

    private async Task<Refusal?> WriteAsync(UserShare? share, Action committed, string sql, params string[] values)
    {
        var change = new PendingChange(share, sql, values, committed);
        await writer.EnqueueAsync(change);
        return await change.Written;
    }
}

/// <summary>
/// A change of WebhookDB that waits to be written. SQLite overwrites in the file what it deletes or replaces, because that is a secret.
/// </summary>
/// <param name="share">What the user may use of the server; null if the change is the server's own.</param>
/// <param name="sql">The statement.</param>
/// <param name="values">Its values for ?1, ?2 and so on.</param>
/// <param name="committed">Called when the change is on disk. Must not wait.</param>
internal sealed class PendingChange(UserShare? share, string sql, string[] values, Action committed) : Write
{
    private static readonly Refusal NotStored = Refusal.StorageUnavailable with { Message = "Not known to be stored. Repeat it." };
    private readonly TaskCompletionSource<Refusal?> _written = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Completes with null when the change is on disk and in effect. Otherwise completes with the refusal.</summary>
    public Task<Refusal?> Written => _written.Task;

    public override UserShare? Share => share;

    public override void Store(Transaction db)
    {
        db.Execute("PRAGMA secure_delete = ON"); // https://sqlite.org/pragma.html#pragma_secure_delete
        db.Execute(sql, values);
        db.Execute("PRAGMA secure_delete = OFF"); // inbox rows are not secret, and are deleted faster without it
    }

    public override void Stored()
    {
        committed();
        _written.TrySetResult(null);
    }

    public override void Refused() => _written.TrySetResult(NotStored);
}
