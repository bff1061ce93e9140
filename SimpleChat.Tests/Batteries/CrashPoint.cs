using System.Globalization;

namespace SimpleChat.Tests.Batteries;

/// <summary>A named moment at which a server dies by SIGKILL, the n-th time that it gets there.</summary>
/// <param name="Name">In words.</param>
/// <param name="Where">For the <see cref="StartupHook"/>: before or after a statement, or at a measurement. Empty if a tracer kills.</param>
/// <param name="Call">For strace: which system call, on which file. Empty if the hook kills.</param>
/// <param name="Times">How often it gets there at most before it dies.</param>
/// <param name="AtStart">Whether it dies before it listens.</param>
/// <param name="AtEnd">Whether it is to be asked to end, with SIGTERM.</param>
internal sealed record CrashPoint(string Name, string Where = "", string Call = "", int Times = 60, bool AtStart = false, bool AtEnd = false)
{
    /// <summary>What the <see cref="StartupHook"/> reads: when, what and how often.</summary>
    public const string Variable = "SIMPLECHAT_TESTS_CRASH";

    /// <summary>
    /// What the <see cref="StartupHook"/> reads: the level to which <c>PRAGMA synchronous</c> is set after the server has set its own.
    /// </summary>
    public const string SynchronousVariable = "SIMPLECHAT_TESTS_SYNCHRONOUS";

    public static readonly CrashPoint[] All =
    [
        new("after dequeue", Where: "before:BEGIN IMMEDIATE"),
        new("after BEGIN", Where: "after:BEGIN IMMEDIATE"),
        new("mid-batch, between the two rows of a message", Where: "before:INSERT INTO InboxDB", Times: 300),
        new("before COMMIT", Where: "before:COMMIT"),
        new("in COMMIT, between the last WAL write and its fsync", Call: "fsync,fdatasync chat.db-wal", Times: 40),
        new("in COMMIT, between two WAL writes", Call: "pwrite64 chat.db-wal", Times: 400),
        new("after COMMIT and before the answer", Where: "meter:simplechat.commit.size"),
        new("after the answer and before the push", Where: "meter:simplechat.messages.stored", Times: 200),
        new("mid-push, between two network writes", Call: "sendto,sendmsg", Times: 30),
        new("before the inbox row goes", Where: "before:DELETE FROM InboxDB", Times: 200),
        new("after the inbox row is gone and before its sender is told", Where: "meter:simplechat.messages.delivered"),
        new("mid-checkpoint", Call: "pwrite64 chat.db", Times: 200),
        new("during shutdown, before the last checkpoint", Where: "before:PRAGMA wal_checkpoint", AtEnd: true),
        new("during the recovery, while the WAL is read", Call: "pread64 chat.db-wal", Times: 100, AtStart: true),
        new("during the recovery, while it is checkpointed", Call: "pwrite64 chat.db", Times: 20, AtStart: true),
    ];

    /// <summary>Whether strace is needed for it.</summary>
    public bool IsTraced => Call.Length > 0;

    /// <summary>A server that will die there.</summary>
    /// <param name="path">The database.</param>
    /// <param name="random">Draws the n.</param>
    public ChatProcess NewServer(string path, Random random)
    {
        // The hook counts the start's own statements too, of which the first checkpoint is one; strace counts each thread's calls by themselves.
        var n = (AtEnd ? 2 : IsTraced ? 1 + random.Next(Times) : 20 + random.Next(Times)).ToString(CultureInfo.InvariantCulture);
        var server = new ChatProcess
        {
            DatabasePath = path,
            ["Chat:MessagesPerSecond"] = "0",
            Under = IsTraced ? Tracer(path, n) : [],
        };
        if (!IsTraced)
        {
            server.Variables["DOTNET_STARTUP_HOOKS"] = typeof(StartupHook).Assembly.Location;
            server.Variables[Variable] = $"{Where}:{n}";
        }

        return server;
    }

    public override string ToString() => Name;

    private string[] Tracer(string path, string n)
    {
        var parts = Call.Split(' ');
        string[] file = parts.Length == 1 ? [] : ["-P", Path.Combine(Path.GetDirectoryName(path)!, parts[1])];
        return
        [
            Strace.Command, "-D", "-f", "-o", "/dev/null", .. file,
            "-e", $"trace={parts[0]}", "-e", $"inject={parts[0]}:signal=SIGKILL:when={n}",
        ];
    }
}
