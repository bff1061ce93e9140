using System.Runtime.InteropServices;
using SimpleChat.Settings;

namespace SimpleChat.Network;

/// <summary>
/// How many connections the process can hold. Each takes a file descriptor, and .NET does not survive when none is left. Accepting fails
/// again and again, and the garbage collector cannot find out how much memory there is. So the server reads the limit at the start, and
/// divides it into shares that are never exceeded.
/// </summary>
/// <param name="Limit">Files and sockets that the process may have open (<c>RLIMIT_NOFILE</c>); null where there is no such limit.</param>
/// <param name="Strangers">TCP connections on which no user's request is under way; see <see cref="Door"/>.</param>
/// <param name="Users">TCP connections on which one is.</param>
/// <param name="Chat">How many of these may be open lines of the chat: <see cref="ChatOptions.MaxConnections"/>, or fewer if there is no
/// room. The rest is for requests.</param>
internal sealed partial record Capacity(int? Limit, int Strangers, int Users, int Chat)
{
    /// <summary>
    /// Strangers get an eighth of the room, within these bounds. That lets each newcomer say who it is, and never takes much memory.
    /// </summary>
    private const int FewestStrangers = 16, MostStrangers = 1024;

    /// <summary>
    /// Descriptors that are kept free for other things than connections. These are readers of the database, calls to other servers, and
    /// late-loaded code, at two descriptors an assembly.
    /// </summary>
    private const int Reserve = 192;

    /// <summary>About how many descriptors are open when the server has started. Used before it starts.</summary>
    private const int OpenAtStart = 200;

    /// <summary>With fewer places in the chat than this, the server does not start.</summary>
    private const int FewestChat = 32;

    /// <summary>Divides the descriptors of this process.</summary>
    /// <exception cref="StartException">There are too few to serve anybody.</exception>
    public static Capacity Of(ChatOptions options) => ReadLimit() is { } limit
        ? Of(options.MaxConnections, limit, CountOpen())
        : new Capacity(null, MostStrangers, int.MaxValue, options.MaxConnections);

    /// <summary>Divides the descriptors of a process.</summary>
    /// <exception cref="StartException">There are too few to serve anybody.</exception>
    public static Capacity Of(int wanted, int limit, int open)
    {
        var room = limit - open - Reserve;
        var strangers = Math.Clamp(room / 8, FewestStrangers, MostStrangers);
        var requests = strangers;
        var chat = room - strangers - requests;
        return chat >= FewestChat
            ? new Capacity(limit, strangers, room - strangers, Math.Min(wanted, chat))
            : throw new StartException(TooFew(limit, open));
    }

    /// <summary>
    /// Returns one line if there are too few descriptors even to load the code; otherwise null. Called before anything else, because later
    /// there may be none left to print the line.
    /// </summary>
    public static string? FirstLook() =>
        ReadLimit() is { } limit && limit < Reserve + (2 * FewestStrangers) + FewestChat ? TooFew(limit, OpenAtStart) : null;

    private static string TooFew(int limit, int open) =>
        $"The process may have {limit} files and sockets open: too few to serve anybody (Chat:MaxConnections), it needs at least " +
        $"{open + Reserve + (2 * FewestStrangers) + FewestChat}. " +
        "Raise the limit: ulimit -n, LimitNOFILE= of a systemd unit, --ulimit nofile= of a container.";

    /// <summary>Returns one line for the operator, if the server holds fewer connections than the settings say; otherwise null.</summary>
    public string? Complaint(ChatOptions options) => Chat < options.MaxConnections
        ? $"Chat:MaxConnections is {Chat}, not {options.MaxConnections}: the process may have {Limit} files and sockets open (ulimit -n)."
        : null;

    /// <summary>
    /// Reads the soft limit, which .NET has raised to the hard limit by now. Null if there is none, or if it is beyond any need.
    /// </summary>
    private static int? ReadLimit()
    {
        if (OperatingSystem.IsWindows())
            return null;
        var resource = OperatingSystem.IsLinux() ? 7 : 8; // RLIMIT_NOFILE in <sys/resource.h>; elsewhere BSD's
        return GetLimit(resource, out var limit) == 0 && limit.Soft < int.MaxValue ? (int)limit.Soft : null;
    }

    /// <summary>Counts the descriptors that the process has open now.</summary>
    private static int CountOpen()
    {
        const string Open = "/dev/fd"; // on Linux a link to /proc/self/fd
        return Directory.Exists(Open) ? Directory.GetFileSystemEntries(Open).Length : 256;
    }

    /// <summary>https://man7.org/linux/man-pages/man2/getrlimit.2.html</summary>
    [DllImport("libc", EntryPoint = "getrlimit")]
    private static extern int GetLimit(int resource, out ResourceLimit limit);

    [StructLayout(LayoutKind.Sequential)]
    private readonly struct ResourceLimit
    {
        public readonly nuint Soft, Hard;
    }
}
