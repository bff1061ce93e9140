namespace SimpleChat.Benchmarks;

/// <summary>One run of the benchmark: what its measurements share, and the figures that later ones are held against.</summary>
/// <param name="options">What is measured, and for how long.</param>
/// <param name="folder">A folder of this run's own, on the disk that is measured; whoever made it removes it.</param>
internal sealed class Run(Options options, string folder)
{
    private int _files;

    public Options Options => options;

    public Report Report { get; } = new();

    public string ServerFolder { get; } = options.Server ?? ServerProcess.BuiltFolder("ServerFolder");

    /// <summary>Where the node is that was built along.</summary>
    public string NodeFolder { get; } = ServerProcess.BuiltFolder("NodeFolder");

    /// <summary>Messages per second without storage, and without a network; null until measured.</summary>
    public double? Relay { get; set; }

    public double? Storage { get; set; }

    /// <summary>Messages per second on an empty file and one core.</summary>
    public double? Throughput { get; set; }

    /// <summary>What is left if a message costs what relaying it and storing it cost together.</summary>
    public double? Limit => 1 / ((1 / Relay) + (1 / Storage));

    /// <summary>Resident bytes of an idle connection at the relay.</summary>
    public double? RelayIdleBytes { get; set; }

    /// <summary>A database with <see cref="Options.Stored"/> messages; made when first asked for.</summary>
    public string StoredDatabase => field ??= StoredMessages.Create(NewFile(), options.Stored);

    /// <summary>A path in the run's folder where nothing is yet.</summary>
    public string NewFile() => Path.Combine(folder, $"{++_files}.db");

    /// <summary>A chat server on a fresh database.</summary>
    public ServerProcess StartServer(Place place = Place.OneCore) => ServerProcess.Chat(ServerFolder, NewFile(), place);

    /// <summary>Does <paramref name="measure"/> as often as asked for, and collects what each round came to.</summary>
    public List<T> Rounds<T>(string what, Func<T> measure)
    {
        var results = new List<T>();
        for (var round = 1; round <= options.Rounds; round++)
        {
            Console.Error.WriteLine($"{what}, round {round} of {options.Rounds}");
            results.Add(measure());
        }

        return results;
    }
}
