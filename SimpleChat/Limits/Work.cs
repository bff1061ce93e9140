namespace SimpleChat.Limits;

/// <summary>What work costs in <see cref="UserShare.Charge"/>, measured as time on a core: 1 is about ten microseconds.</summary>
internal static class Work
{
    /// <summary>A handshake, or a connection that joins.</summary>
    public const double Handshake = 20;

    /// <summary>A request, whatever it asks for.</summary>
    public const double Request = 10;

    /// <summary>A part of a fragmented message.</summary>
    public const double Fragment = 0.1;

    /// <summary>A search for the user's conversations, besides the page. It reads a thousand messages, and as many users.</summary>
    public const double Conversations = 200;

    /// <summary>A frame, or a request's body. The message's text is copied; the rest is parsed piece by piece.</summary>
    public static double Frame(int bytes, int text) => 1 + text / 8192.0 + (bytes - text) / 1024.0;

    /// <summary>Storing a text, besides reading its frame. It is written twice: to the log and to the database.</summary>
    public static double Store(int text) => text / 1024.0;

    /// <summary>Acknowledging so many ids. Each is looked up in the inbox, and its sender may get a receipt.</summary>
    public static double Ack(int ids) => ids / 4.0;

    /// <summary>Reading rows from the database, and writing them to the peer.</summary>
    public static double Read(int rows, int bytes) => 1 + rows / 16.0 + bytes / 8192.0;
}
