using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Globalization;
using System.IO.Pipes;
using System.Runtime.InteropServices;

/// <summary>
/// Runs inside the server's process, before its <c>Main</c>: whoever starts the server lets <c>DOTNET_STARTUP_HOOKS</c> point to this
/// assembly. The server itself knows nothing of it: SQLite tells of each statement (https://sqlite.org/c3ref/trace_v2.html) and commit,
/// the server's own meter of what lies between them. So there are moments, such as <c>before:COMMIT</c> (a statement's beginning),
/// <c>after:COMMIT</c>, <c>meter:simplechat.messages.stored</c>, <c>commit:before:message</c> and <c>commit:after:other</c>; whoever names
/// the beginning of one can kill the server there or make it wait. It uses nothing but the framework.
/// </summary>
internal static class StartupHook
{
    /// <summary>A moment, and at which time of it the server dies: <c>before:COMMIT:20</c>.</summary>
    public const string CrashVariable = "SIMPLECHAT_HOOK_CRASH";

    /// <summary>A pragma that is set after the server has set its own, as <c>name = value</c>.</summary>
    public const string PragmaVariable = "SIMPLECHAT_HOOK_PRAGMA";

    /// <summary>
    /// Two handles of anonymous pipes, to read from and to write to. Orders come in: <c>watch</c> and moments, separated by tabs;
    /// <c>go</c>; <c>full on</c> and <c>full off</c>. <c>at</c> and a moment go out, and the server waits there for <c>go</c>;
    /// <c>done</c> or <c>cannot</c> answer the other orders. When the pipe breaks, the server ends.
    /// </summary>
    public const string PipeVariable = "SIMPLECHAT_HOOK_PIPE";

    /// <summary>A folder that goes when the pipe breaks.</summary>
    public const string FolderVariable = "SIMPLECHAT_HOOK_FOLDER";

    private const int StatementStarts = 1, StatementEnds = 2;

    /// <summary>After this wait the answer to a message is out; its push is held up meanwhile.</summary>
    private static readonly TimeSpan AnswerLeaves = TimeSpan.FromMilliseconds(30);

    // Native code calls them: they must not be collected.
    private static readonly Extension s_opened = Opened;
    private static readonly Trace s_traced = Traced;
    private static readonly CommitHook s_commits = Commits;
    private static readonly Write s_write = WriteUnlessFull;
    private static readonly WriteAt s_writeAt = WriteAtUnlessFull;
    private static readonly MeterListener s_listener = new();

    private static readonly Lock s_asking = new();
    private static readonly SemaphoreSlim s_go = new(0);
    private static StreamWriter? s_lab;
    private static volatile string[] s_watched = [];
    private static string[] s_pragma = [];
    private static int s_left;
    private static volatile bool s_isFull;

    // Of the one connection that writes.
    private static bool s_hasMessage;
    private static (nint Database, string What) s_committing;

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    private delegate int Extension(nint database, nint error, nint api);

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    private delegate int Trace(int kind, nint context, nint statement, nint detail);

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    private delegate int CommitHook(nint context);

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    private delegate nint Write(int file, nint bytes, nint count);

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    private delegate nint WriteAt(int file, nint bytes, nint count, long offset);

    /// <summary>Called by the runtime.</summary>
    public static void Initialize()
    {
        if (Environment.GetEnvironmentVariable(CrashVariable) is { Length: > 0 } crash)
        {
            var count = crash.LastIndexOf(':');
            s_left = int.Parse(crash[(count + 1)..], CultureInfo.InvariantCulture);
            s_watched = [crash[..count]];
        }

        if (Environment.GetEnvironmentVariable(PragmaVariable) is { Length: > 0 } pragma)
            s_pragma = pragma.Split(" = ");
        if (Environment.GetEnvironmentVariable(PipeVariable) is { Length: > 0 } pipe)
            Obey(pipe.Split(' '));

        s_listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter.Name == "SimpleChat")
                listener.EnableMeasurementEvents(instrument);
        };
        s_listener.SetMeasurementEventCallback<long>((instrument, _, _, _) => Reach($"meter:{instrument.Name}"));
        s_listener.SetMeasurementEventCallback<int>((instrument, _, _, _) => Reach($"meter:{instrument.Name}"));
        s_listener.Start();
        try
        {
            _ = AutoExtension(Marshal.GetFunctionPointerForDelegate(s_opened));
        }
        catch (DllNotFoundException)
        {
            // A server without a database.
        }
    }

    private static void Obey(string[] handles)
    {
        var orders = new StreamReader(new AnonymousPipeClientStream(PipeDirection.In, handles[0]));
        s_lab = new StreamWriter(new AnonymousPipeClientStream(PipeDirection.Out, handles[1])) { AutoFlush = true };
        new Thread(() =>
        {
            while (orders.ReadLine() is { } order)
            {
                if (order == "go")
                    s_go.Release();
                else
                    Tell(Do(order) ? "done" : "cannot");
            }

            if (Environment.GetEnvironmentVariable(FolderVariable) is { Length: > 0 } folder && Directory.Exists(folder))
                Directory.Delete(folder, recursive: true);
            Process.GetCurrentProcess().Kill();
        })
        { IsBackground = true, Name = "Startup hook" }.Start();
    }

    private static bool Do(string order)
    {
        var words = order.Split('\t');
        switch (words[0])
        {
            case "watch":
                s_watched = words[1..];
                return true;
            case "full on" when !StandBeforeWrites():
                return false;
            default:
                s_isFull = order == "full on";
                return true;
        }
    }

    private static void Tell(string what)
    {
        lock (s_lab!)
            s_lab.WriteLine(what);
    }

    private static int Opened(nint database, nint error, nint api)
    {
        _ = OnCommit(database, Marshal.GetFunctionPointerForDelegate(s_commits), database);
        return TraceV2(database, StatementStarts | StatementEnds, Marshal.GetFunctionPointerForDelegate(s_traced), database);
    }

    private static int Traced(int kind, nint database, nint statement, nint detail)
    {
        if (s_watched.Length == 0 && s_pragma.Length == 0)
            return 0;
        var sql = Marshal.PtrToStringUTF8(Sql(statement)) ?? "";
        if (kind == StatementStarts && sql.StartsWith("INSERT INTO MessageDB ", StringComparison.Ordinal))
            s_hasMessage = true;
        Reach($"{(kind == StatementStarts ? "before" : "after")}:{sql}");
        if (kind == StatementEnds && s_committing.Database == database && IsOutsideTransaction(database) != 0)
        {
            var what = s_committing.What;
            (s_committing, s_hasMessage) = (default, false);
            Reach($"commit:after:{what}");
        }

        // The server has set its own and read it back.
        if (s_pragma is [var name, var value] && kind == StatementEnds && sql == $"PRAGMA {name}")
            _ = Execute(database, $"PRAGMA {name} = {value}", 0, 0, 0);
        return 0;
    }

    private static int Commits(nint database)
    {
        if (s_watched.Length > 0)
        {
            s_committing = (database, s_hasMessage ? "message" : "other");
            Reach($"commit:before:{s_committing.What}");
        }

        return 0;
    }

    private static void Reach(string moment)
    {
        if (Array.Find(s_watched, watched => moment.StartsWith(watched, StringComparison.Ordinal)) is not { } what)
            return;
        if (s_lab is not null)
        {
            lock (s_asking)
            {
                Tell($"at {what}");
                s_go.Wait();
            }
        }
        else if (Interlocked.Decrement(ref s_left) == 0)
        {
            if (what == "meter:simplechat.messages.stored")
                Thread.CurrentThread.Join(AnswerLeaves);
            Process.GetCurrentProcess().Kill();
        }
    }

    /// <summary>Stands between SQLite and the operating system's calls that write (https://sqlite.org/c3ref/vfs.html).</summary>
    /// <returns>false where SQLite does not let it.</returns>
    private static bool StandBeforeWrites()
    {
        try
        {
            var vfs = FindVfs(0);
            var (set, get) = (Marshal.ReadIntPtr(vfs, 8 * 18), Marshal.ReadIntPtr(vfs, 8 * 19)); // xSetSystemCall, xGetSystemCall
            if (Marshal.ReadInt32(vfs) < 3 || set == 0 || nint.Size != 8)
                return false;
            var replace = Marshal.GetDelegateForFunctionPointer<SetSystemCall>(set);
            var find = Marshal.GetDelegateForFunctionPointer<GetSystemCall>(get);
            foreach (var (name, call) in new (string, Delegate)[] { ("write", s_write), ("pwrite", s_writeAt), ("pwrite64", s_writeAt) })
            {
                if (find(vfs, name) != 0)
                    _ = replace(vfs, name, Marshal.GetFunctionPointerForDelegate(call));
            }

            return true;
        }
        catch (Exception e) when (e is DllNotFoundException or EntryPointNotFoundException)
        {
            return false;
        }
    }

    private static nint WriteUnlessFull(int file, nint bytes, nint count) => s_isFull ? NoSpace() : SystemWrite(file, bytes, count);

    private static nint WriteAtUnlessFull(int file, nint bytes, nint count, long offset) =>
        s_isFull ? NoSpace() : SystemWriteAt(file, bytes, count, offset);

    private static nint NoSpace()
    {
        Marshal.SetLastSystemError(28); // ENOSPC, on Linux and macOS
        return -1;
    }

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    private delegate int SetSystemCall(nint vfs, [MarshalAs(UnmanagedType.LPUTF8Str)] string name, nint call);

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    private delegate nint GetSystemCall(nint vfs, [MarshalAs(UnmanagedType.LPUTF8Str)] string name);

    [DllImport("e_sqlite3", EntryPoint = "sqlite3_auto_extension")]
    private static extern int AutoExtension(nint entry);

    [DllImport("e_sqlite3", EntryPoint = "sqlite3_trace_v2")]
    private static extern int TraceV2(nint database, int kinds, nint callback, nint context);

    [DllImport("e_sqlite3", EntryPoint = "sqlite3_commit_hook")]
    private static extern nint OnCommit(nint database, nint callback, nint context);

    [DllImport("e_sqlite3", EntryPoint = "sqlite3_get_autocommit")]
    private static extern int IsOutsideTransaction(nint database);

    [DllImport("e_sqlite3", EntryPoint = "sqlite3_sql")]
    private static extern nint Sql(nint statement);

    [DllImport("e_sqlite3", EntryPoint = "sqlite3_exec")]
    private static extern int Execute(
        nint database, [MarshalAs(UnmanagedType.LPUTF8Str)] string sql, nint callback, nint context, nint error);

    [DllImport("e_sqlite3", EntryPoint = "sqlite3_vfs_find")]
    private static extern nint FindVfs(nint name);

    [DllImport("libc", EntryPoint = "write")]
    private static extern nint SystemWrite(int file, nint bytes, nint count);

    [DllImport("libc", EntryPoint = "pwrite")]
    private static extern nint SystemWriteAt(int file, nint bytes, nint count, long offset);
}
