using System.Globalization;

namespace SimpleChat.Wire;

/// <summary>
/// A place in the messages of a user, after which a client resumes. It is the id of a message. The message's <c>sentAt</c> proves that the
/// message is of this database. Written <c>41</c> or <c>41@2026-11-24T11:02:03.123Z</c>; <c>0</c> is the very beginning.
/// </summary>
/// <param name="Id">The client wants everything above it. A number too large for an id is <see cref="long.MaxValue"/>, which was never
/// given out.</param>
/// <param name="SentAt">When that message was sent, in milliseconds since 1970-01-01 UTC; null in the short form, which proves
/// nothing.</param>
internal readonly record struct Position(long Id, long? SentAt)
{
    /// <summary>The position of a message, in the long form.</summary>
    public static Position Of(Message message) => new(message.Id, message.SentAt);

    /// <summary>Reads either form, written exactly as the server writes it; false for anything else.</summary>
    public static bool TryParse(string text, out Position position)
    {
        position = default;
        var at = text.IndexOf('@', StringComparison.Ordinal);
        var digits = at < 0 ? text : text.AsSpan(0, at);
        if (digits.IsEmpty || digits.ContainsAnyExceptInRange('0', '9'))
            return false;
        var id = long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : long.MaxValue;
        if (at < 0)
        {
            position = new Position(id, null);
            return true;
        }

        if (!DateTimeOffset.TryParseExact(
            text.AsSpan(at + 1), FrameWriter.TimeFormat, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var sentAt))
            return false;
        position = new Position(id, sentAt.ToUnixTimeMilliseconds());
        return true;
    }

    public override string ToString() =>
        SentAt is { } sentAt
            ? string.Create(CultureInfo.InvariantCulture, $"{Id}@{FrameWriter.Time(sentAt)}")
            : Id.ToString(CultureInfo.InvariantCulture);
}
