namespace SimpleChat.Storage;

/// <summary>A page of messages up to some id. It says how far it goes, because its last rows may have been erased.</summary>
/// <param name="Messages">The messages, ids rising; perhaps none.</param>
/// <param name="UpTo">The page holds every message up to this id. The next page starts above it.</param>
internal readonly record struct Page(List<Message> Messages, long UpTo)
{
    /// <summary>The most rows in a page of the inbox, or of catching up.</summary>
    public const int Size = 256;

    /// <summary>
    /// A page ends early when its texts reach this many bytes. That is enough for a burst of large messages. And it is little to hold for a
    /// client that reads nothing.
    /// </summary>
    public const int MaxText = 128 * 1024;

    /// <summary>Takes a page from rows whose ids rise. If it takes all of them, it goes up to <paramref name="upTo"/>.</summary>
    public static async ValueTask<Page> OfAsync(IAsyncEnumerable<Message> rows, long upTo)
    {
        var messages = new List<Message>();
        var text = 0;
        await foreach (var message in rows)
        {
            if (messages.Count == Size || text >= MaxText)
                return new Page(messages, messages[^1].Id);
            messages.Add(message);
            text += message.Text.Length;
        }

        return new Page(messages, upTo);
    }
}
