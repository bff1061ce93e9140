using System.Globalization;

namespace SimpleChat.Benchmarks;

/// <summary>The command line of a run: what is measured, for how long, and where its files go.</summary>
internal sealed class Options
{
    /// <summary>Every mode, in the order in which they run: the baselines first, because the others are held against them.</summary>
    public static readonly string[] AllModes =
    [
        "baseline-storage", "baseline-relay", "throughput", "latency", "single", "big", "history",
        "idle", "connects", "drain", "coldstart", "allocation",
    ];

    /// <summary>Modes that need PostgreSQL and Redis, and run only when they are named.</summary>
    public static readonly string[] ModesOfNodes = ["nodes", "nodes-latency", "nodes-cpu", "nodes-roles", "nodes-history", "capacity"];

    public const string Usage =
        """
        dotnet run -c Release --project SimpleChat.Benchmarks -- [mode ...] [option ...]

        Without a mode everything is measured. Modes:
          baseline-storage, baseline-relay, throughput, latency, single, big, history, idle, connects, drain, coldstart, allocation
        With PostgreSQL and Redis (apt-get install postgresql redis-server), when they are named:
          nodes, nodes-latency, nodes-cpu, nodes-roles, nodes-history, capacity
        Options:
          --rounds N        rounds of each measurement, of which the table shows the median (3)
          --warmup SECONDS  of each round, not counted (2.5)
          --seconds SECONDS of each round, counted (3)
          --stored MILLIONS of messages in the file for big and history (1)
          --idle N          idle connections (10000)
          --settle SECONDS  before idle connections are weighed (5)
          --json PATH       writes the figures there as well
          --folder PATH     a disk to measure on (the system's temporary folder)
          --server PATH     a folder with another build of the server, such as a published one
          --minutes N       after which the run is given up (20)
        """;

    public IReadOnlyList<string> Modes { get; private set; } = AllModes;

    public int Rounds { get; private set; } = 3;

    public TimeSpan Warmup { get; private set; } = TimeSpan.FromSeconds(2.5);

    public TimeSpan Measured { get; private set; } = TimeSpan.FromSeconds(3);

    /// <summary>Messages, not millions of them.</summary>
    public long Stored { get; private set; } = 1_000_000;

    public int Idle { get; private set; } = 10_000;

    public TimeSpan Settle { get; private set; } = TimeSpan.FromSeconds(5);

    public string? Json { get; private set; }

    public string Folder { get; private set; } = Path.GetTempPath();

    public string? Server { get; private set; }

    public TimeSpan GivenUpAfter { get; private set; } = TimeSpan.FromMinutes(20);

    /// <exception cref="FormatException">Not a command line of ours; the message says why.</exception>
    public static Options Parse(string[] args)
    {
        var options = new Options();
        var modes = new List<string>();
        var rest = new Queue<string>(args);
        while (rest.TryDequeue(out var word))
        {
            if (AllModes.Contains(word) || ModesOfNodes.Contains(word))
                modes.Add(word);
            else
                options.Set(word, rest);
        }

        if (modes.Count > 0)
            options.Modes = [.. AllModes.Concat(ModesOfNodes).Where(modes.Contains)];
        return options;
    }

    private void Set(string word, Queue<string> rest)
    {
        switch (word)
        {
            case "--rounds": Rounds = (int)Number(1, 100); break;
            case "--warmup": Warmup = TimeSpan.FromSeconds(Number(0, 600)); break;
            case "--seconds": Measured = TimeSpan.FromSeconds(Number(0.2, 600)); break;
            case "--stored": Stored = (long)(Number(0.01, 100) * 1_000_000); break;
            case "--idle": Idle = (int)Number(1, 200_000); break;
            case "--settle": Settle = TimeSpan.FromSeconds(Number(0, 600)); break;
            case "--json": Json = Value(); break;
            case "--folder": Folder = Value(); break;
            case "--server": Server = Path.GetFullPath(Value()); break;
            case "--minutes": GivenUpAfter = TimeSpan.FromMinutes(Number(1, 600)); break;
            default: throw new FormatException($"'{word}' is neither a mode nor an option.");
        }

        string Value() => rest.TryDequeue(out var value) ? value : throw new FormatException($"{word} needs a value.");

        double Number(double least, double most) =>
            double.TryParse(Value(), CultureInfo.InvariantCulture, out var number) && number >= least && number <= most
                ? number
                : throw new FormatException($"{word} takes a number from {least} to {most}.");
    }
}
