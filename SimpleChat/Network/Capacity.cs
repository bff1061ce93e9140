using System.Runtime.InteropServices;
using SimpleChat.Settings;

namespace SimpleChat.Network;

/// <summary>
/// How many connections the process can hold. Each is a file descriptor, and .NET does not survive a process that has none left: accepting
/// fails without end, and then the garbage collector cannot ask how much memory there is. So the limit is read at start and shared out, and
/// nobody gets beyond a share.
/// </summary>
/// <param name="Limit">Files and sockets that the process may have open (<c>RLIMIT_NOFILE</c>); null where there is no such limit.</param>
/// <param name="Strangers">TCP connections on which nobody known asks for anything just now: see <see cref="Door"/>.</param>
/// <param name="Users">TCP connections on which a user does.</param>
/// <param name="Chat">Of these, WebSockets and whatever else stays: <see cref="ChatOptions.MaxConnections"/>, or what there is room for.
/// The rest is for requests.</param>
internal sealed partial record Capacity(int? Limit, int Strangers, int Users, int Chat)
{
    /// <summary>
    /// An eighth of what there is room for, within these bounds: enough for each newcomer to say who it is, and never much memory.
    /// </summary>
    private const int FewestStrangers = 16, MostStrangers = 1024;

    /// <summary>
    /// Descriptors that are not for connections, beside those that are open when the server starts: readers of the database, calls to other
    /// servers, and code that is loaded when it is first needed, at two descriptors an assembly.
    /// </summary>
    private const int Reserve = 192;

    /// <summary>With fewer places in the chat a start is a mistake.</summary>
    private const int FewestChat = 32;

    /// <summary>Shares out what this process may have.</summary>
    /// <exception cref="StartException">It is too little to serve anybody.</exception>
    public static Capacity Of(ChatOptions options) => ReadLimit() is { } limit
        ? Of(options.MaxConnections, limit, CountOpen())
        : new Capacity(null, MostStrangers, int.MaxValue, options.MaxConnections);

    /// <summary>Shares out what a process may have.</summary>
    /// <param name="wanted"><see cref="ChatOptions.MaxConnections"/>.</param>
    /// <param name="limit">Descriptors that it may have open.</param>
    /// <param name="open">Descriptors that it has open.</param>
    /// <exception cref="StartException">It is too little to serve anybody.</exception>
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
    /// One line if there are so few descriptors that not even the code could be loaded; otherwise null. Asked before anything else, because
    /// later on there may be none left to say it with.
    /// </summary>
    public static string? FirstLook() =>
        ReadLimit() is { } limit && limit < Reserve + (2 * FewestStrangers) + FewestChat ? TooFew(limit, CountOpen()) : null;

    private static string TooFew(int limit, int open) =>
        $"The process may have {limit} files and sockets open: too few to serve anybody (Chat:MaxConnections), it needs at least " +
        $"{open + Reserve + (2 * FewestStrangers) + FewestChat}. " +
        "Raise the limit: ulimit -n, LimitNOFILE= of a systemd unit, --ulimit nofile= of a container.";

    /// <summary>One line for whoever starts the server, if it holds fewer connections than the settings say; otherwise null.</summary>
    public string? Complaint(ChatOptions options) => Chat < options.MaxConnections
        ? $"Chat:MaxConnections is {Chat}, not {options.MaxConnections}: the process may have {Limit} files and sockets open (ulimit -n)."
        : null;

    /// <summary>The soft limit, which .NET has raised to the hard one by now; null if there is none, or more than anybody needs.</summary>
    private static int? ReadLimit()
    {
        if (OperatingSystem.IsWindows())
            return null;
        var resource = OperatingSystem.IsLinux() ? 7 : 8; // RLIMIT_NOFILE in <sys/resource.h>; elsewhere BSD's
        return GetLimit(resource, out var limit) == 0 && limit.Soft < int.MaxValue ? (int)limit.Soft : null;
    }

    /// <summary>What the process has open now.</summary>
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
