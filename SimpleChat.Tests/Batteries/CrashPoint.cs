namespace SimpleChat.Tests.Batteries;

/// <summary>A named moment at which a server dies by SIGKILL, the n-th time that it gets there.</summary>
/// <param name="Name">In words.</param>
/// <param name="Where">For the startup hook: before or after a statement, or at a measurement. Empty if a tracer
/// kills.</param>
/// <param name="Call">For strace: which system call, on which file. Empty if the hook kills.</param>
/// <param name="Times">How often it gets there at most before it dies.</param>
/// <param name="AtStart">Whether it dies before it listens.</param>
/// <param name="AtEnd">Whether it is to be asked to end, with SIGTERM.</param>
internal sealed record CrashPoint(
    string Name, string Where = "", string Call = "", int Times = 60, bool AtStart = false, bool AtEnd = false)
{
    /// <summary>
    /// A checkpoint each time that the log has so many pages more, instead of the server's thousands: so that a short load meets many.
    /// </summary>
    public const string ManyCheckpoints = "wal_autocheckpoint = 50";

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

    /// <summary>Why it cannot be had on this machine; null if it can.</summary>
    public string? Missing => Call.Length == 0 ? null : AtStart ? Strace.Missing : Strace.MissingForRunning;

    /// <summary>A server that will die there; once it listens, call <see cref="Arm"/>.</summary>
    /// <param name="path">The database.</param>
    /// <param name="random">Draws the n.</param>
    public ChatProcess NewServer(string path, Random random)
    {
        var server = new ChatProcess
        {
            DatabasePath = path,
            ["Chat:MessagesPerSecond"] = "0",
            Under = Call.Length > 0 && AtStart ? [Strace.Command, "-D", "-f", "-o", "/dev/null", .. Trace(path, random)] : [],
        };
        server.Variables["DOTNET_STARTUP_HOOKS"] = typeof(StartupHook).Assembly.Location;
        if (Where.Length > 0) // the hook counts the start's own statements too, of which the first checkpoint is one
            server.Variables[StartupHook.CrashVariable] = $"{Where}:{(AtEnd ? 2 : 20 + random.Next(Times))}";
        if (!AtStart) // otherwise there would be nothing to recover
            server.Variables[StartupHook.PragmaVariable] = ManyCheckpoints;
        return server;
    }

    /// <summary>For a server that listens: from now on it may die there. What its start did is not counted.</summary>
    /// <returns>The tracer, if there is one.</returns>
    public IDisposable? Arm(ChatProcess server, Random random) =>
        Call.Length > 0 && !AtStart ? new SystemCallFault(server.Id, Trace(server.DatabasePath, random)) : null;

    public override string ToString() => Name;

    /// <summary>For strace, which counts each thread's calls by themselves.</summary>
    private string[] Trace(string path, Random random)
    {
        var parts = Call.Split(' ');
        string[] file = parts.Length == 1 ? [] : ["-P", Path.Combine(Path.GetDirectoryName(path)!, parts[1])];
        return [.. file, "-e", $"trace={parts[0]}", "-e", $"inject={parts[0]}:signal=SIGKILL:when={1 + random.Next(Times)}"];
    }
}
