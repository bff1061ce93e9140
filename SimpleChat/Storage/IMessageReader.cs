using SimpleChat.Wire;

namespace SimpleChat.Storage;

/// <summary>
/// Everything that is read from the database. Methods that find many rows return them one by one, and the caller stops when its page is
/// full. The caller must wait for nothing else meanwhile. A message that was erased is skipped, even if another table still names it.
/// Every method throws what <see cref="StorageFault"/> knows when storage fails. SQLite's is <see cref="MessageReader"/>, which never
/// makes its caller wait for another thread.
/// </summary>
internal interface IMessageReader
{
    /// <summary>
    /// Reads undelivered messages to the user, above <paramref name="after"/> up to <paramref name="upTo"/>, oldest first.
    /// </summary>
    IAsyncEnumerable<Message> ReadInbox(string user, long after, long upTo);

    /// <summary>
    /// Reads what the user sent or received, delivered or not, above <paramref name="after"/> up to <paramref name="upTo"/>, oldest first.
    /// </summary>
    IAsyncEnumerable<Message> ReadConcerning(string user, long after, long upTo);

    /// <summary>
    /// Reads what the user sent or received, below <paramref name="before"/>. The newest comes first. If <paramref name="after"/> is given,
    /// the oldest above it comes first.
    /// </summary>
    /// <param name="with">The other side of the conversation, or null for all conversations.</param>
    /// <param name="since">Only messages sent at or after this time, in milliseconds since 1970-01-01 UTC. It has no effect if
    /// <paramref name="after"/> is given.</param>
    IAsyncEnumerable<HistoryMessage> ReadHistory(string user, string? with, long? after, long before, long since);

    /// <summary>Reads the user's conversations whose last message is below <paramref name="before"/>, the most recent first.</summary>
    IAsyncEnumerable<Conversation> ReadConversations(string user, long before);

    /// <summary>
    /// Finds a <see cref="Position"/>, which a client wrote, among the user's messages. The long form proves the message. The short form
    /// can only be checked for range: up to the highest id ever given out.
    /// </summary>
    /// <returns>The id, null without a position; and why the position is refused, or null.</returns>
    async ValueTask<(long? After, Refusal? Refusal)> LocateAsync(string user, string? position)
    {
        if (position is null)
            return (null, null);
        if (!Position.TryParse(position, out var place))
            return (null, Refusal.InvalidPosition);
        try
        {
            return (place.Id, await IsKnownAsync(user, place) ? null : Refusal.UnknownPosition);
        }
        catch (Exception e) when (StorageFault.Is(e))
        {
            return (null, Refusal.StorageUnreadable);
        }
    }

    /// <summary>
    /// Whether the message was the user's and was sent at this time. If the client does not say when: whether the id was given out.
    /// </summary>
    ValueTask<bool> IsKnownAsync(string user, Position position);

    /// <summary>
    /// Reads receipts: the user's messages from <paramref name="first"/> to <paramref name="last"/> that have left their inbox. Returns one
    /// page; an empty page is the last.
    /// </summary>
    ValueTask<List<Receipt>> ReadReceiptsAsync(string user, long first, long last);

    /// <summary>
    /// Reads the next few messages above <paramref name="after"/> that were sent before <paramref name="since"/>, in milliseconds since
    /// 1970-01-01 UTC.
    /// </summary>
    /// <returns>The ids of the delivered ones, and the last id that was read; null if no message is old enough.</returns>
    ValueTask<(List<long> Delivered, long UpTo)?> ReadOldAsync(long since, long after, int limit);

    /// <summary>Reads all webhooks. They are few.</summary>
    ValueTask<List<WebhookRow>> ReadWebhooksAsync();

    /// <summary>Counts the messages in the user's inbox up to an id, and finds the oldest one's id, or 0.</summary>
    ValueTask<(long Count, long OldestId)> CountInboxAsync(string user, long upTo);

    /// <summary>Reads a row, to find out whether reads work.</summary>
    ValueTask ProbeAsync();
}
