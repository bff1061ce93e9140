using SimpleChat.Storage;

namespace SimpleChat.ScaleOut.Roles;

/// <summary>
/// What goes between a node and a service, in bytes. A call is a POST to <c>/version/call</c>. Its body says what is asked, and the
/// answer's body what was found, in <see cref="RowBytes"/>.
/// </summary>
internal static class InnerWire
{
    /// <summary>Rises when a call changes. A service knows one version, and answers 404 to others.</summary>
    public const int Version = 1;

    /// <summary>The most bytes of a body: the texts of a full batch (<see cref="WriteQueue.Capacity"/>), and as much around them.</summary>
    public const int MaxBody = 2 * 1024 * WriteQueue.Capacity;

    /// <summary>
    /// A service begins to commit a batch no later than so long after it was sent. It ends within
    /// <see cref="PostgresAddress.StatementTimeout"/> more. So nothing is stored after its node has given up.
    /// </summary>
    public static readonly TimeSpan BatchDeadline = TimeSpan.FromSeconds(2);

    /// <summary>How long a node waits for a batch. Its senders are told sooner (<see cref="WriteQueue.Patience"/>).</summary>
    public static readonly TimeSpan BatchPatience = BatchDeadline + TimeSpan.FromMilliseconds(PostgresAddress.StatementTimeout + 500);

    /// <summary>Where a call goes.</summary>
    public static string PathOf(string call) => $"/{Version}/{call}";
}
