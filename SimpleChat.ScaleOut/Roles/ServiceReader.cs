using SimpleChat.Storage;
using SimpleChat.Wire;

namespace SimpleChat.ScaleOut.Roles;

/// <summary>Reads over a service, a part of the rows at a time. So nobody reads further than its caller wants.</summary>
internal sealed class ServiceReader(ServiceClient client) : IMessageReader, ITail
{
    public IAsyncEnumerable<Message> ReadInbox(string user, long after, long upTo) => ReadRange("inbox", user, after, upTo);

    public IAsyncEnumerable<Message> ReadConcerning(string user, long after, long upTo) => ReadRange("concerning", user, after, upTo);

    public IAsyncEnumerable<HistoryMessage> ReadHistory(string user, string? with, long? after, long before, long since) =>
        ReadParts("history", ask =>
        {
            ask.Write(user);
            ask.WriteOptional(with);
            ask.WriteOptional(after);
            ask.Write(before);
            ask.Write(since);
        }, RowBytes.ReadHistory, last => (after, before) = after is null ? (after, last.Message.Id) : (last.Message.Id, before));

    public IAsyncEnumerable<Conversation> ReadConversations(string user, long before) => ReadParts("conversations", ask =>
    {
        ask.Write(user);
        ask.Write(before);
    }, answer => new Conversation(answer.ReadString(), answer.ReadHistory()), last => before = last.Last.Message.Id);

    public async ValueTask<bool> IsKnownAsync(string user, Position position) => await client.ReadAsync("known", ask =>
    {
        ask.Write(user);
        ask.Write(position.Id);
        ask.WriteOptional(position.SentAt);
    }, answer => answer.ReadBoolean());

    public async ValueTask<List<Receipt>> ReadReceiptsAsync(string user, long first, long last) => await client.ReadAsync("receipts", ask =>
    {
        ask.Write(user);
        ask.Write(first);
        ask.Write(last);
    }, answer => answer.ReadAll(answer.ReadReceipt));

    public async ValueTask<(List<long> Delivered, long UpTo)?> ReadOldAsync(long since, long after, int limit)
    {
        var (delivered, upTo) = await client.ReadAsync("old", ask =>
        {
            ask.Write(since);
            ask.Write(after);
            ask.Write(limit);
        }, answer => (answer.ReadAll(answer.ReadInt64), answer.ReadOptionalNumber()));
        return upTo is { } last ? (delivered, last) : null;
    }

    public async ValueTask<List<WebhookRow>> ReadWebhooksAsync() =>
        await client.ReadAsync("webhooks", ask => { }, answer => answer.ReadAll(answer.ReadWebhook));

    public async ValueTask<(long Count, long OldestId)> CountInboxAsync(string user, long upTo) => await client.ReadAsync("count", ask =>
    {
        ask.Write(user);
        ask.Write(upTo);
    }, answer => (answer.ReadInt64(), answer.ReadInt64()));

    public async ValueTask ProbeAsync() => await client.ReadAsync("probe", ask => { }, answer => true);

    public async ValueTask<(long LastId, Snapshot Shown)> LookAsync() =>
        await client.ReadAsync("look", ask => { }, answer => (answer.ReadInt64(), new Snapshot(answer.ReadString())));

    public async ValueTask<Page> ReadTailAsync(long after, long upTo, int limit) => await client.ReadAsync("tail", ask =>
    {
        ask.Write(after);
        ask.Write(upTo);
        ask.Write(limit);
    }, answer => new Page(answer.ReadAll(answer.ReadMessage), answer.ReadInt64()));

    private IAsyncEnumerable<Message> ReadRange(string call, string user, long after, long upTo) => ReadParts(call, ask =>
    {
        ask.Write(user);
        ask.Write(after);
        ask.Write(upTo);
    }, RowBytes.ReadMessage, last => after = last.Id);

    /// <summary>Reads part after part. What it returns is enumerated once.</summary>
    /// <param name="call">What is asked.</param>
    /// <param name="ask">Writes the arguments for the next part.</param>
    /// <param name="read">Reads a row.</param>
    /// <param name="goOnAfter">Called with a part's last row, before the next part is asked for.</param>
    private async IAsyncEnumerable<T> ReadParts<T>(
        string call, Action<BinaryWriter> ask, Func<BinaryReader, T> read, Action<T> goOnAfter)
    {
        while (true)
        {
            var (rows, hasMore) = await client.ReadAsync(call, ask, answer => (answer.ReadAll(() => read(answer)), answer.ReadBoolean()));
            foreach (var row in rows)
                yield return row;
            if (!hasMore)
                yield break;
            goOnAfter(rows[^1]);
        }
    }
}
