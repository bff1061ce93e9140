using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Runtime.InteropServices;
using SimpleChat.Tests.Batteries;

/// <summary>
/// Runs inside the server's process, before its <c>Main</c>: a test starts the server with <c>DOTNET_STARTUP_HOOKS</c> pointing to this
/// assembly. It dies at a named point, or sets a pragma otherwise than the server did. The server itself knows nothing of it: SQLite tells
/// of each statement (https://sqlite.org/c3ref/trace_v2.html), the server's own meter of what lies between them.
/// </summary>
internal static class StartupHook
{
    private const int StatementStarts = 1, StatementEnds = 2;

    /// <summary>After this wait the answer to a message is out; its push is held up meanwhile.</summary>
    private static readonly TimeSpan AnswerLeaves = TimeSpan.FromMilliseconds(30);

    // Native code calls them: they must not be collected.
    private static readonly Extension s_opened = Opened;
    private static readonly Trace s_traced = Traced;
    private static readonly MeterListener s_listener = new();
    private static string[] s_point = [];
    private static string[] s_pragma = [];
    private static int s_left;

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    private delegate int Extension(nint database, nint error, nint api);

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    private delegate int Trace(int kind, nint context, nint statement, nint detail);

    /// <summary>Called by the runtime.</summary>
    public static void Initialize()
    {
        if (Environment.GetEnvironmentVariable(CrashPoint.Variable) is { Length: > 0 } point)
        {
            s_point = point.Split(':');
            s_left = int.Parse(s_point[2], System.Globalization.CultureInfo.InvariantCulture);
        }

        if (Environment.GetEnvironmentVariable(CrashPoint.PragmaVariable) is { Length: > 0 } pragma)
            s_pragma = pragma.Split(" = ");

        if (s_point is ["meter", ..])
        {
            s_listener.InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Name == s_point[1])
                    listener.EnableMeasurementEvents(instrument);
            };
            s_listener.SetMeasurementEventCallback<long>((_, _, _, _) => Pass());
            s_listener.SetMeasurementEventCallback<int>((_, _, _, _) => Pass());
            s_listener.Start();
        }

        _ = AutoExtension(Marshal.GetFunctionPointerForDelegate(s_opened));
    }

    private static int Opened(nint database, nint error, nint api) =>
        TraceV2(database, StatementStarts | StatementEnds, Marshal.GetFunctionPointerForDelegate(s_traced), database);

    private static int Traced(int kind, nint database, nint statement, nint detail)
    {
        var sql = Marshal.PtrToStringUTF8(Sql(statement)) ?? "";
        if (s_point is [var when, var what, _]
            && kind == (when == "before" ? StatementStarts : StatementEnds)
            && sql.StartsWith(what, StringComparison.Ordinal))
        {
            Pass();
        }

        // The server has set its own and read it back.
        if (s_pragma is [var name, var value] && kind == StatementEnds && sql == $"PRAGMA {name}")
            _ = Execute(database, $"PRAGMA {name} = {value}", 0, 0, 0);
        return 0;
    }

    private static void Pass()
    {
        if (Interlocked.Decrement(ref s_left) != 0)
            return;
        if (s_point[1] == "simplechat.messages.stored")
            Thread.CurrentThread.Join(AnswerLeaves);
        Process.GetCurrentProcess().Kill();
    }

    [DllImport("e_sqlite3", EntryPoint = "sqlite3_auto_extension")]
    private static extern int AutoExtension(nint entry);

    [DllImport("e_sqlite3", EntryPoint = "sqlite3_trace_v2")]
    private static extern int TraceV2(nint database, int kinds, nint callback, nint context);

    [DllImport("e_sqlite3", EntryPoint = "sqlite3_sql")]
    private static extern nint Sql(nint statement);

    [DllImport("e_sqlite3", EntryPoint = "sqlite3_exec")]
    private static extern int Execute(
        nint database, [MarshalAs(UnmanagedType.LPUTF8Str)] string sql, nint callback, nint context, nint error);
}
