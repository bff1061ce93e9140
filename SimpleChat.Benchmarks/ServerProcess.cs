using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Text;
using SimpleChat.Tests;

namespace SimpleChat.Benchmarks;

/// <summary>
/// A server in a process of its own, on a free loopback port: the chat server, or the relay, which is this program under another verb.
/// Disposing of it stops it as an operator would, and fails if it doesn't obey.
/// </summary>
internal sealed partial class ServerProcess : IDisposable
{
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(60), StopLimit = TimeSpan.FromSeconds(8);

    private static readonly Lock Gate = new();
    private static readonly HashSet<Process> Running = [];

    private readonly Process _process;
    private readonly StringBuilder _output = new();
    private readonly string _name, _hello;

    /// <param name="name">What it is, for messages.</param>
    /// <param name="info">The program.</param>
    /// <param name="place">Where it may run.</param>
    /// <param name="port">Where it listens.</param>
    /// <param name="hello">What it says to a WebSocket that it accepts.</param>
    private ServerProcess(string name, ProcessStartInfo info, Place place, int port, string hello = Connected)
    {
        (_name, _hello) = (name, hello);
        Port = port;
        info.UseShellExecute = false;
        info.RedirectStandardOutput = info.RedirectStandardError = true;
        info.Environment.Remove(InlineCompletions);
        if (place == Place.OneCore)
            info.Environment[OptimizationDelay] = "1";
        var start = Stopwatch.GetTimestamp();
        lock (Gate)
        {
            _process = Cores.Start(place, () => Process.Start(info)!);
            Running.Add(_process);
        }

        _process.OutputDataReceived += (_, line) => Keep(line.Data);
        _process.ErrorDataReceived += (_, line) => Keep(line.Data);
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
        try
        {
            WaitUntilAccepting(start);
        }
        catch
        {
            Kill();
            throw;
        }

        ColdStart = Stopwatch.GetElapsedTime(start);
    }

    /// <summary>.NET's switch for socket callbacks on the thread that polls: right for the generator, not for a server.</summary>
    public const string InlineCompletions = "DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS";

    /// <summary>
    /// .NET waits ten times as long before it optimises hot methods if a process starts on one core alone. Ours does so only to be
    /// measured; with this it waits as long as on any machine (https://github.com/dotnet/coreclr/pull/18610).
    /// </summary>
    private const string OptimizationDelay = "DOTNET_TC_DelaySingleProcMultiplier";

    private const string Connected = "\"connected\"";

    public int Port { get; }

    /// <summary>From the start of the process to its first accepted WebSocket, <c>connected</c> frame included.</summary>
    public TimeSpan ColdStart { get; }

    public TimeSpan ProcessorTime => _process.HasExited ? throw Ended() : _process.TotalProcessorTime;

    /// <summary>Resident memory now, in bytes.</summary>
    public long ResidentBytes
    {
        get
        {
            _process.Refresh();
            return _process.WorkingSet64;
        }
    }

    /// <summary>The chat server on <paramref name="database"/>, with no limit that a benchmark would run into, and quiet.</summary>
    /// <param name="serverFolder">The build to run.</param>
    /// <param name="database">Its file, made if it isn't there.</param>
    /// <param name="place">Where it may run.</param>
    /// <param name="countersSocket">Where it offers its counters, see <c>StartupHook</c>; null if nobody asks.</param>
    public static ServerProcess Chat(string serverFolder, string database, Place place = Place.OneCore, string? countersSocket = null)
    {
        var port = LoopbackPort.Free();
        var info = Executable(serverFolder, "SimpleChat");
        Configure(info, serverFolder, port);
        info.Environment["ConnectionStrings__Chat"] = $"Data Source={database}";
        if (countersSocket is not null)
        {
            info.Environment["DOTNET_STARTUP_HOOKS"] = typeof(ServerProcess).Assembly.Location;
            info.Environment[StartupHook.SocketVariable] = countersSocket;
        }

        return new ServerProcess("server", info, place, port);
    }

    /// <summary>A node, as free of limits and as quiet.</summary>
    /// <param name="nodeFolder">The build to run.</param>
    /// <param name="place">Where it may run.</param>
    /// <param name="settings">Where PostgreSQL and Redis are, and what else.</param>
    /// <param name="hello">What it says to a WebSocket: a service refuses it.</param>
    public static ServerProcess Node(
        string nodeFolder, Place place, IEnumerable<(string Key, string Value)> settings, string hello = Connected)
    {
        var (info, port) = (Executable(nodeFolder, "SimpleChat.ScaleOut"), LoopbackPort.Free());
        Configure(info, nodeFolder, port);
        foreach (var (key, value) in settings)
            info.Environment[key.Replace(":", "__", StringComparison.Ordinal)] = value;
        return new ServerProcess("node", info, place, port, hello);
    }

    /// <summary>The relay baseline.</summary>
    public static ServerProcess Relay() => Ours("relay", RelayServer.Verb, Place.OneCore);

    /// <summary>A SignalR server.</summary>
    public static ServerProcess Peer(string postgres, string redis) =>
        Ours("peer", PeerServer.Verb, Place.AllCores, "HTTP/1.1 101 ", postgres, redis);

    /// <summary>The folder of the server that was built along with this program.</summary>
    /// <param name="which">Where the build has noted it.</param>
    public static string BuiltFolder(string which) => Path.GetFullPath(
        typeof(ServerProcess).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(data => data.Key == which).Value!);

    /// <summary>Ends whatever is still running; for when the run is given up.</summary>
    public static void KillAll()
    {
        lock (Gate)
        {
            foreach (var process in Running)
                process.Kill();
            Running.Clear();
        }
    }

    public void Dispose()
    {
        if (!OperatingSystem.IsWindows() && !_process.HasExited)
        {
            _ = kill(_process.Id, 15); // SIGTERM
            if (_process.WaitForExit(StopLimit) && _process.ExitCode != 0)
                Console.Error.WriteLine($"The {_name} stopped with exit code {_process.ExitCode}. {Output()}");
            else if (!_process.HasExited)
                Console.Error.WriteLine($"The {_name} did not stop within {StopLimit.TotalSeconds} s and was killed. {Output()}");
        }

        Kill();
    }

    private void Kill()
    {
        lock (Gate)
            Running.Remove(_process);
        _process.Kill();
        _process.WaitForExit(StopLimit);
        _process.Dispose();
    }

    private void WaitUntilAccepting(long start)
    {
        while (!IsAccepting())
        {
            if (_process.HasExited)
                throw Ended();
            if (Stopwatch.GetElapsedTime(start) > StartLimit)
                throw new NotProvenException($"The {_name} accepts no WebSocket after {StartLimit.TotalSeconds} s. {Output()}");
            Thread.Sleep(1);
        }
    }

    /// <summary>One handshake, blocking.</summary>
    private bool IsAccepting()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveTimeout = 10_000 };
        try
        {
            socket.Connect(IPAddress.Loopback, Port);
            socket.Send(Wire.Handshake(Port, "early", "chat"));
            var buffer = new byte[4096];
            var filled = 0;
            while (!Encoding.UTF8.GetString(buffer, 0, filled).Contains(_hello, StringComparison.Ordinal))
            {
                var count = socket.Receive(buffer, filled, buffer.Length - filled, SocketFlags.None);
                if (count == 0)
                    throw new NotProvenException(
                        $"The {_name} refused the first WebSocket: {Encoding.UTF8.GetString(buffer, 0, filled)} {Output()}");
                filled += count;
            }

            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private NotProvenException Ended() => new($"The {_name} ended with exit code {_process.ExitCode}. {Output()}");

    private void Keep(string? line)
    {
        lock (_output)
        {
            if (line is not null && _output.Length < 20_000)
                _output.AppendLine(line);
        }
    }

    private string Output()
    {
        lock (_output)
            return _output.Length == 0 ? "It said nothing." : $"It said:\n{_output}";
    }

    /// <summary>No limits, and no line for each request.</summary>
    private static void Configure(ProcessStartInfo info, string folder, int port)
    {
        info.WorkingDirectory = folder; // whatever it writes stays out of the way
        info.Environment["ASPNETCORE_ENVIRONMENT"] = "Development";
        info.Environment["ASPNETCORE_URLS"] = $"http://127.0.0.1:{port}";
        info.Environment["Chat__MessagesPerSecond"] = "0";
        info.Environment["Chat__ConnectionsPerUser"] = "1000";
        info.Environment["Chat__MaxConnections"] = "1000000";
        info.Environment["Logging__LogLevel__Default"] = "Warning";
    }

    /// <summary>This very program, as a server.</summary>
    private static ServerProcess Ours(string name, string verb, Place place, string hello = Connected, params string[] arguments)
    {
        var (info, port) = (Executable(AppContext.BaseDirectory, "SimpleChat.Benchmarks"), LoopbackPort.Free());
        foreach (var argument in (string[])[verb, port.ToString(CultureInfo.InvariantCulture), .. arguments])
            info.ArgumentList.Add(argument);
        return new ServerProcess(name, info, place, port, hello);
    }

    /// <summary>The program's own executable if it has one, otherwise <c>dotnet</c> with its library.</summary>
    private static ProcessStartInfo Executable(string folder, string name)
    {
        var executable = Path.Combine(folder, OperatingSystem.IsWindows() ? name + ".exe" : name);
        if (File.Exists(executable))
            return new ProcessStartInfo(executable);
        var library = Path.Combine(folder, name + ".dll");
        return File.Exists(library)
            ? new ProcessStartInfo("dotnet", [library])
            : throw new NotProvenException($"There is no {library} to run.");
    }

    [LibraryImport("libc")]
    private static partial int kill(int process, int signal);
}
