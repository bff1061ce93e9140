using System.Runtime.InteropServices;
using SimpleChat.Benchmarks;

if (args.Length > 1 && args[0] == RelayServer.Verb)
{
    RelayServer.Run(args[1..]);
    return 0;
}

if (args.Length > 1 && args[0] == PeerServer.Verb)
{
    PeerServer.Run(args[1..]);
    return 0;
}

Options options;
try
{
    options = Options.Parse(args);
}
catch (FormatException e)
{
    Console.Error.WriteLine($"{e.Message}\n\n{Options.Usage}");
    return 2;
}

#if DEBUG
Console.Error.WriteLine("This is a Debug build: its figures mean nothing. Run it with -c Release.");
#endif

// One thread polls all sockets and runs their callbacks itself. It must be said before the first socket is made, and to us alone.
Environment.SetEnvironmentVariable(ServerProcess.InlineCompletions, "1");
Cores.PinGenerator();

var folder = Directory.CreateDirectory(Path.Combine(options.Folder, $"simplechat-benchmarks-{Environment.ProcessId}"));
AppDomain.CurrentDomain.ProcessExit += (_, _) => CleanUp();
using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, _ => CleanUp()); // the signal ends the process afterwards
using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, _ => CleanUp());
using var limit = new Timer(_ => GiveUp(), null, options.GivenUpAfter, Timeout.InfiniteTimeSpan);
var run = new Run(options, folder.FullName);
var exitCode = 0;
try
{
    foreach (var mode in options.Modes)
        Measure(mode);
}
catch (Exception e)
{
    Console.Error.WriteLine(e is NotProvenException ? $"NOT PROVEN: {e.Message}" : e.ToString());
    exitCode = 1;
}

var machine = Machine.Describe(options.Folder);
Console.WriteLine(run.Report.Table(machine));
if (options.Json is not null)
    run.Report.WriteJson(options.Json, machine);
return exitCode;

void Measure(string mode)
{
    switch (mode)
    {
        case "baseline-storage": StorageBaseline.Measure(run); break;
        case "baseline-relay": Throughput.Relay(run); break;
        case "throughput": Throughput.Durable(run); break;
        case "latency": Latency.Measure(run); break;
        case "single": Throughput.Single(run); break;
        case "big": Throughput.Big(run); break;
        case "history": History.Measure(run); break;
        case "idle": IdleConnections.Weigh(run); break;
        case "connects": IdleConnections.Connects(run); break;
        case "drain": InboxDrain.Measure(run); break;
        case "coldstart": ColdStart.Measure(run); break;
        case "allocation": Throughput.Allocation(run); break;
        case "nodes": ScaledOut.Throughput(run); break;
        case "nodes-latency": ScaledOut.Latency(run); break;
        case "nodes-cpu": ScaledOut.Processor(run); break;
        case "nodes-roles": ScaledOut.Roles(run); break;
        case "nodes-history": ScaledOut.History(run); break;
        case "capacity": Capacity.Measure(run); break;
        default: throw new InvalidOperationException(mode);
    }
}

void CleanUp()
{
    ServerProcess.KillAll();
    try
    {
        folder.Delete(recursive: true);
    }
    catch (IOException)
    {
        // Gone already, or a killed server's file is still held: the system's temporary folder has seen worse.
    }
}

void GiveUp()
{
    Console.Error.WriteLine($"Given up after {options.GivenUpAfter.TotalMinutes:0} minutes.");
    CleanUp();
    Environment.Exit(3);
}
