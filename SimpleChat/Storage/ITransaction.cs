using SimpleChat.Wire;

namespace SimpleChat.Storage;

/// <summary>
/// All that is written in one commit. The writer's thread alone uses it: <see cref="Begin"/>, then the writes, then <see cref="Commit"/>.
/// A write may use its results only after Commit has returned. Every method throws what <see cref="StorageFault"/> knows when storage
/// fails. SQLite's is <see cref="Transaction"/>.
/// </summary>
internal interface ITransaction : IDisposable
{
    /// <summary>The highest id given out by the last commit that this process knows of.</summary>
    long LastId { get; }

    void Begin();

    /// <summary>
    /// Stores a message: its MessageDB row and its InboxDB row. A time before the last message's becomes the last message's. If the sender
    /// has sent the message before, the one that is there is found instead.
    /// </summary>
    void Store(PendingMessage message);

    /// <summary>Removes messages from the user's inbox, and adds a receipt for each. Ids that are not in the inbox are ignored.</summary>
    void Remove(string user, IdRange range, List<Receipt> receipts);

    /// <summary>Erases messages, and what stands beside them in other tables.</summary>
    void Erase(List<long> ids);

    /// <summary>Stores a webhook, which replaces the user's earlier one.</summary>
    void Put(WebhookRow row);

    /// <summary>Deletes the user's webhook; if <paramref name="only"/> is given, only if it has that URL and that secret.</summary>
    void DeleteWebhook(string user, WebhookRow? only);

    /// <summary>Moves <see cref="WebhookRow.SkippedUpTo"/> on, if the row is still as it is given.</summary>
    void SkipWebhook(WebhookRow row, long upTo);

    /// <summary>Changes nothing. But its commit proves that storage can be written.</summary>
    void Touch();

    /// <summary>Commits. When it returns, everything since <see cref="Begin"/> is on disk, and every result is there.</summary>
    void Commit();

    /// <summary>Undoes everything since <see cref="Begin"/>. Not called after <see cref="Commit"/>.</summary>
    void Rollback();

    /// <summary>Whether the message waits in the user's inbox. Asked outside a transaction, after a fault.</summary>
    bool IsInInbox(string user, long id);

    /// <summary>Whether storage failed, rather than refused a single write.</summary>
    bool IsStorageFault(Exception e);

    /// <summary>Called when the server stops, after the last commit.</summary>
    void Finish();
}

/// <summary>Where the writer's transactions come from. SQLite's is <see cref="Database"/>.</summary>
internal interface IDatabase
{
    /// <summary>Opens the database at the start of the server.</summary>
    /// <exception cref="Settings.StartException">It cannot be served; the message says why and what to do.</exception>
    ITransaction Open();

    /// <summary>Opens it again after a fault.</summary>
    ITransaction Reopen();

    /// <summary>Throws if storage has a fault that only a look can show. Called on the writer's thread while nobody writes.</summary>
    void RequireSound();
}

/// <summary>A message that is to be stored, and then what became of it.</summary>
internal sealed class PendingMessage(Draft draft)
{
    public Draft Draft => draft;

    /// <summary>The stored message; null before the commit, or if it was not given to a transaction.</summary>
    public Message? Message { get; private set; }

    /// <summary>Whether <see cref="Message"/> was there before: this was a repeat.</summary>
    public bool IsRepeat { get; private set; }

    /// <summary>Called by the transaction that stored it, or found that it is stored.</summary>
    public void Became(Message message, bool isRepeat) => (Message, IsRepeat) = (message, isRepeat);

    /// <summary>Forgets what a transaction that was rolled back has made of it.</summary>
    public void Reset() => (Message, IsRepeat) = (null, false);
}

/// <summary>A row of WebhookDB: a bot's registration, to which the server POSTs the bot's messages.</summary>
/// <param name="SkippedUpTo">Messages in the inbox up to this id were not taken, and are not tried again.</param>
internal sealed record WebhookRow(string User, string Url, string Secret, long SkippedUpTo = 0)
{
    /// <summary>Leaves out the secret, so that no log prints it.</summary>
    public override string ToString() => $"{User} at {Url}";
}
