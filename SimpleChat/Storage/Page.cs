namespace SimpleChat.Storage;

/// <summary>A page on the way to some id. It says itself how far it goes: rows that are gone, at its end too, end nothing early.</summary>
/// <param name="Messages">What there is, ids rising; perhaps nothing.</param>
/// <param name="UpTo">Up to this id the page holds everything. The next page starts above it.</param>
internal readonly record struct Page(List<Message> Messages, long UpTo)
{
    /// <summary>Takes a page out of rows that go up to <paramref name="upTo"/>.</summary>
    /// <param name="rows">The rows, ids rising.</param>
    /// <param name="upTo">How far they go when all of them are taken.</param>
    public static Page Of(IEnumerable<Message> rows, long upTo)
    {
        var messages = new List<Message>();
        var text = 0;
        foreach (var message in rows)
        {
            if (messages.Count == MessageReader.PageSize || text >= MessageReader.PageText)
                return new Page(messages, messages[^1].Id);
            messages.Add(message);
            text += message.Text.Length;
        }

        return new Page(messages, upTo);
    }
}
