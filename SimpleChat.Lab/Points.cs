namespace SimpleChat.Lab;

/// <summary>A named moment in the server at which it can be killed.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Sentence">What has happened by then, and what has not.</param>
/// <param name="Where">What the startup hook calls it.</param>
internal sealed record Point(string Name, string Sentence, string Where)
{
    /// <summary>What slow motion and a slow disk wait at.</summary>
    public const string BeforeCommit = "commit:before", AfterCommit = "commit:after";

    /// <summary>Points that any server with a database has.</summary>
    public static readonly Point[] OfAnyServer =
    [
        new("before-commit", "both rows are written, and nothing is on disk yet", $"{BeforeCommit}:message"),
        new("after-commit", "after COMMIT, before the answer", $"{AfterCommit}:message"),
    ];

    /// <summary>SimpleChat's, in the order in which a message comes to them.</summary>
    public static readonly Point[] OfSimpleChat =
    [
        new("before-second-row", "between a message's two rows, before COMMIT", "before:INSERT INTO InboxDB"),
        .. OfAnyServer,
        new("after-sent", "after the answer, before the push", "meter:simplechat.messages.stored"),
        new("before-row-goes", "bob has acknowledged; his inbox row is still there", "before:DELETE FROM InboxDB"),
        new("after-row-gone", "the inbox row is gone; the sender is not told yet", "meter:simplechat.messages.delivered"),
    ];
}
