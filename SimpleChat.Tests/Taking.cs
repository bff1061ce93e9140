namespace SimpleChat.Tests;

/// <summary>A drain's part, played by a test.</summary>
internal static class Taking
{
    /// <summary>Takes what waits; there is room for all of it.</summary>
    public static Outbox Take(this Connection connection) =>
        connection.Take(new PageRoom.Place(new PageRoom(1), new UserShare("a test"), connection.Signal));
}
