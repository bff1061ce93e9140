namespace SimpleChat.Limits;

/// <summary>What things cost in <see cref="UserShare.Charge"/>, from how long they kept a core busy: 1 is about ten microseconds.</summary>
internal static class Work
{
    /// <summary>A handshake, or a connection that joins.</summary>
    public const double Handshake = 20;

    /// <summary>A request, whatever it asks.</summary>
    public const double Request = 10;

    /// <summary>A part of a fragmented message.</summary>
    public const double Fragment = 0.1;

    /// <summary>Looking for the user's conversations, beside the page: a thousand messages are looked at, and as many users.</summary>
    public const double Conversations = 200;

    /// <summary>A frame, or a request's body. Text is copied; what is not text is read piece by piece.</summary>
    public static double Frame(int bytes, int text) => 1 + text / 8192.0 + (bytes - text) / 1024.0;

    /// <summary>A text that is stored, beside its frame: it is written twice, to the log and to the database.</summary>
    public static double Store(int text) => text / 1024.0;

    /// <summary>So many ids to be acknowledged: each is looked for in the inbox, and its sender may be told.</summary>
    public static double Ack(int ids) => ids / 4.0;

    /// <summary>Rows read out of the database, and written to the peer.</summary>
    public static double Read(int rows, int bytes) => 1 + rows / 16.0 + bytes / 8192.0;
}
