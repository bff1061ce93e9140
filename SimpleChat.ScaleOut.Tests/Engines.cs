using System.Globalization;
using System.Net.Sockets;
using Npgsql;
using Process = System.Diagnostics.Process;
using ProcessStartInfo = System.Diagnostics.ProcessStartInfo;
using Stopwatch = System.Diagnostics.Stopwatch;

namespace SimpleChat.Tests;

/// <summary>
/// PostgreSQL and Redis of the tests' own, from Debian's packages, on ports of 127.0.0.1 that were free. One of each serves a whole run; a
/// test that kills one has its own.
/// </summary>
internal sealed class Engines : IDisposable
{
    private static readonly Lazy<Engines> s_shared = new(() => new Engines());

    /// <summary>Starts a program that Linux ends together with its parent. Said after the user was changed, which would clear it.</summary>
    private static readonly string[] s_endsWithParent = ["setpriv", "--pdeathsig=INT"];

    private static int s_databases;

    private readonly DirectoryInfo _folder;
    private readonly string[] _sizes;
    private readonly string[] _addresses;
    private Process? _postgres, _redis;

    /// <summary>Makes a database cluster and starts both.</summary>
    /// <param name="folder">Where; null for memory, where there is room: how durable a disk is, is not what tests are about.</param>
    /// <param name="roomy">Whether PostgreSQL has the memory and the log that it has by default, rather than little.</param>
    /// <param name="address">Where they listen besides 127.0.0.1, for everybody in that network; null for nowhere.</param>
    public Engines(string? folder = null, bool roomy = false, string? address = null)
    {
        _addresses = ["127.0.0.1", .. address is null ? (string[])[] : [address]];
        _sizes = roomy ? [] : ["-c", "shared_buffers=64MB", "-c", "max_wal_size=256MB"];
        _folder = folder is not null ? Directory.CreateDirectory(folder)
            : Directory.Exists("/dev/shm") ? Directory.CreateDirectory($"/dev/shm/simplechat-{Guid.NewGuid():N}")
            : Directory.CreateTempSubdirectory("simplechat-");
        (PostgresPort, RedisPort) = (LoopbackPort.Free(), LoopbackPort.Free());
        if (Environment.IsPrivilegedProcess)
            Run("chown", "postgres", _folder.FullName);
        RunPostgres("initdb", "-D", Data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "-N");
        if (address is not null)
            File.AppendAllText(Path.Combine(Data, "pg_hba.conf"), $"host all all {address}/24 trust\n");
        StartPostgres();
        StartRedis();
        Execute("postgres", "CREATE DATABASE chat");
    }

    /// <summary>Those of the whole run.</summary>
    public static Engines Shared => s_shared.Value;

    /// <summary>Why they cannot be started; null if they can. In CI nothing may be missing.</summary>
    public static string? Missing { get; } = Environment.GetEnvironmentVariable("CI") == "true" ? null
        : Binary("postgres") is null ? "PostgreSQL is missing: apt-get install postgresql"
        : !File.Exists("/usr/bin/redis-server") ? "Redis is missing: apt-get install redis-server"
        : null;

    public int PostgresPort { get; }

    public int RedisPort { get; }

    private string Data => Path.Combine(_folder.FullName, "data");

    /// <summary>A new, empty database. What it returns is <c>ConnectionStrings:Postgres</c>.</summary>
    public string NewDatabase(string? template = null)
    {
        var name = string.Create(CultureInfo.InvariantCulture, $"chat{Interlocked.Increment(ref s_databases)}");
        Execute("postgres", $"CREATE DATABASE {name}{(template is null ? "" : $" TEMPLATE {template}")}");
        return PostgresOf(name);
    }

    /// <summary>The name of a new database.</summary>
    public static string NameOf(string postgres) => new NpgsqlConnectionStringBuilder(postgres).Database!;

    /// <summary><c>ConnectionStrings:Postgres</c> of a database.</summary>
    public string PostgresOf(string database, int? port = null) =>
        $"Host=127.0.0.1;Port={port ?? PostgresPort};Username=postgres;Database={database}";

    /// <summary><c>ConnectionStrings:Redis</c> of nodes that belong together.</summary>
    public string NewRedis() =>
        string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{RedisPort},defaultDatabase={Interlocked.Increment(ref s_databases)}");

    public void StartPostgres()
    {
        // As in production, but for the sizes: fsync, full_page_writes and synchronous_commit are on.
        _postgres = StartEngine(_folder, AsPostgres([.. s_endsWithParent, Binary("postgres")!, "-D", Data, "-k", "",
            "-h", string.Join(',', _addresses), "-p", $"{PostgresPort}", "-c", "max_connections=400",
            "-c", "dynamic_shared_memory_type=mmap", .. _sizes]));
        Until(() => Execute("postgres", "SELECT 1"), "PostgreSQL", _folder);
    }

    /// <summary>SIGKILL to the postmaster and, as after a power cut, to all of its processes.</summary>
    public void KillPostgres()
    {
        Kill(_postgres!);
        for (var clock = Stopwatch.StartNew(); IsAlive(); Thread.Sleep(1)) // it does not start beside a process of the last start
        {
            if (clock.Elapsed > Deadline.Time)
                throw new TimeoutException("PostgreSQL's processes do not end.");
        }

        File.Delete(Path.Combine(Data, "postmaster.pid")); // it would wait for a process that nobody has buried yet
        NpgsqlConnection.ClearAllPools();

        bool IsAlive() => Directory.EnumerateDirectories("/proc").Any(process => new FileInfo($"{process}/cwd").LinkTarget == Data);
    }

    public void StartRedis() => _redis = StartRedis(RedisPort);

    /// <summary>Starts one more Redis.</summary>
    /// <param name="port">Its port.</param>
    /// <param name="settings">Further settings.</param>
    /// <returns>Its process. It ends when its input does.</returns>
    public Process StartRedis(int port, params string[] settings)
    {
        var folder = _folder.CreateSubdirectory($"redis{port}");
        var process = StartEngine(folder, [.. s_endsWithParent, "redis-server", "--port", $"{port}", "--bind", .. _addresses,
            "--protected-mode", "no", "--save", "", "--appendonly", "no", "--databases", "1000", "--dir", folder.FullName, .. settings]);
        UntilListens(port, "Redis", folder);
        return process;
    }

    /// <summary>Starts a sentinel.</summary>
    /// <inheritdoc cref="StartRedis(int, string[])"/>
    public Process StartSentinel(int port, string configuration)
    {
        var folder = _folder.CreateSubdirectory($"sentinel{port}");
        var file = Path.Combine(folder.FullName, "sentinel.conf"); // it writes down there what it learns
        File.WriteAllText(file, $"port {port}\nbind 127.0.0.1\ndir {folder.FullName}\n{configuration}\n");
        var process = StartEngine(folder, [.. s_endsWithParent, "redis-server", file, "--sentinel"]);
        UntilListens(port, "Sentinel", folder);
        return process;
    }

    public void KillRedis() => Kill(_redis!);

    /// <summary>A command to Redis.</summary>
    public void TellRedis(params string[] command) => AskRedis(RedisPort, command);

    /// <summary>A command to a Redis or a sentinel on this machine.</summary>
    /// <returns>Its answer.</returns>
    public static string AskRedis(int port, params string[] command) =>
        Run("redis-cli", ["-h", "127.0.0.1", "-p", $"{port}", .. command]);

    public void Execute(string database, string sql)
    {
        using var connection = new NpgsqlConnection($"{PostgresOf(database)};Pooling=false;Timeout=5");
        connection.Open();
        using var command = new NpgsqlCommand(sql, connection);
        command.ExecuteNonQuery();
    }

    /// <summary>Ends both, as the end of the tests does.</summary>
    public void Dispose()
    {
        _postgres?.StandardInput.Close();
        _redis?.StandardInput.Close();
    }

    private static string? Binary(string name) => Directory.Exists("/usr/lib/postgresql")
        ? Directory.GetDirectories("/usr/lib/postgresql").Order(StringComparer.Ordinal)
            .Select(version => Path.Combine(version, "bin", name)).LastOrDefault(File.Exists)
        : null;

    /// <summary>PostgreSQL refuses to run as root.</summary>
    private static string[] AsPostgres(params string[] command) => Environment.IsPrivilegedProcess
        ? ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", .. command]
        : command;

    private static void RunPostgres(string name, params string[] arguments)
    {
        var command = AsPostgres([Binary(name)!, .. arguments]);
        Run(command[0], command[1..]);
    }

    private static string Run(string command, params string[] arguments)
    {
        var start = new ProcessStartInfo(command, arguments) { WorkingDirectory = "/" }; // where everybody may be
        var (code, said) = Task.Run(() => Tool.RunAsync(start)).GetAwaiter().GetResult();
        if (code != 0)
            throw new InvalidOperationException($"{command} {string.Join(' ', arguments)} ended with {code}: {said}");
        return said;
    }

    /// <summary>SIGKILL to an engine.</summary>
    public static void Kill(Process process)
    {
        process.Kill(entireProcessTree: true);
        if (!process.WaitForExit(Deadline.Time))
            throw new TimeoutException($"Process {process.Id} does not die.");
    }

    /// <summary>
    /// Whatever becomes of the tests, the engine ends with them: a shell waits for the end of its input, and stops it. The tests kill
    /// nothing when they end: the runner kills them before they have found all of a process tree. If the shell is killed, the engine ends
    /// too. Its folder goes with it, and what it has said, which is there.
    /// </summary>
    private static Process StartEngine(DirectoryInfo folder, string[] command) => Process.Start(new ProcessStartInfo("sh",
    [
        "-c", "\"$@\" <&- >\"$0/said\" 2>&1 & engine=$!; cat >/dev/null; kill -INT $engine; wait; rm -rf \"$0\"",
        folder.FullName, .. command,
    ])
    {
        RedirectStandardInput = true,
        WorkingDirectory = "/",
    })!;

    private static void Until(Action works, string what, DirectoryInfo folder)
    {
        var started = Stopwatch.GetTimestamp();
        while (true)
        {
            try
            {
                works();
                return;
            }
            catch (Exception e) when (e is NpgsqlException or SocketException && Stopwatch.GetElapsedTime(started) < Deadline.Time)
            {
                Thread.Sleep(20); // each attempt takes time from what it waits for
            }
            catch (Exception e) when (e is NpgsqlException or SocketException)
            {
                var said = File.ReadLines(Path.Combine(folder.FullName, "said")).TakeLast(10);
                throw new TimeoutException($"{what} does not start:\n{string.Join('\n', said)}", e);
            }
        }
    }

    private static void UntilListens(int port, string what, DirectoryInfo folder) => Until(() =>
    {
        using var socket = new TcpClient("127.0.0.1", port);
    }, what, folder);
}
