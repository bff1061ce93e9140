using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace SimpleChat.Tests.Ladder;

/// <summary>
/// Builds every file once, in the background, and checks every step once it is built. All are built together: alone, each would wake up the
/// whole of MSBuild. The projects say what the SDK makes of the files' own directives, and lie in a temporary folder below the
/// repository's properties: warnings are errors here too.
/// </summary>
[CollectionDefinition(Collection)]
public sealed partial class LadderBuilds : IAsyncLifetime, IDisposable, ICollectionFixture<LadderBuilds>
{
    /// <summary>The tests that need them: they are built once for all.</summary>
    internal const string Collection = "The ladder";

    /// <summary>In the order in which they are climbed.</summary>
    public static readonly string[] Steps =
    [
        "01-handshake.cs", "02-map.cs", "03-devices.cs", "04-messagedb.cs", "05-inbox.cs",
        "06-position.cs", "07-ack.cs", "08-once.cs", "09-slow-reader.cs", "10-group-commit.cs",
    ];

    /// <summary>Other ways to hear of a message.</summary>
    public static readonly string[] Ways =
    [
        "1-short-polling.cs", "2-long-polling.cs", "3-webhook.cs", "4-server-sent-events.cs", "5-websocket.cs",
    ];

    private readonly TempFolder _folder = new();
    private readonly SemaphoreSlim _running = new(2);
    private readonly Dictionary<string, Task<string>> _outputs;
    private readonly Task _built;

    public LadderBuilds()
    {
        _built = Task.Run(BuildAsync);
        _outputs = Steps.ToDictionary(step => step, CheckAsync);
        foreach (var way in Ways)
            _outputs[way] = RunWayAsync(way);
    }

    /// <summary>The folder with the files.</summary>
    public static string Folder => Path.Combine(ArchitectureTests.Root, "ladder");

    /// <summary>A built file.</summary>
    internal async Task<LadderProgram> ProgramAsync(string file)
    {
        await _built;
        var name = Path.GetFileNameWithoutExtension(file);
        return new LadderProgram(_folder.File(Path.Combine(name, "bin", "Debug", "net10.0", $"{name}.dll")));
    }

    /// <summary>What the checks say about a step, or what a way printed.</summary>
    internal Task<string> OutputOf(string file) => _outputs[file];

    /// <summary>What the checks say about a server somewhere.</summary>
    internal async Task<string> CheckAsync(Uri url) =>
        await (await ProgramAsync("check.cs")).RunAsync($"{url}", $"{Deadline.Time.TotalSeconds:F0}");

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync() => await ((Task)Task.WhenAll(_outputs.Values)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

    /// <summary>After <see cref="DisposeAsync"/>.</summary>
    public void Dispose()
    {
        _running.Dispose();
        _folder.Dispose();
    }

    private async Task BuildAsync()
    {
        foreach (var path in Directory.GetFiles(ArchitectureTests.Root, "Directory.*"))
            File.WriteAllText(_folder.File(Path.GetFileName(path)), $"""<Project><Import Project="{path}" /></Project>""");
        var projects = new StringBuilder();
        foreach (var file in Directory.GetFiles(Folder, "*.cs", SearchOption.AllDirectories))
        {
            var project = Path.Combine(Path.GetFileNameWithoutExtension(file), Path.GetFileNameWithoutExtension(file) + ".csproj");
            Directory.CreateDirectory(Path.GetDirectoryName(_folder.File(project))!);
            File.WriteAllText(_folder.File(project), ProjectFor(file));
            projects.Append(CultureInfo.InvariantCulture, $"""<Project Path="{project}" />""");
        }

        var solution = _folder.File("ladder.slnx");
        File.WriteAllText(solution, $"<Solution>{projects}</Solution>");
        var start = new ProcessStartInfo("dotnet", ["build", solution, "--nologo", "--verbosity", "quiet", "-maxcpucount:2"]);
        start.Environment["UseSharedCompilation"] = "true"; // one compiler for all, which has to warm up once
        start.Environment["RunAnalyzers"] = Environment.GetEnvironmentVariable("CI") ?? "false"; // they take most of the build's time
        start.Environment["MSBUILDDISABLENODEREUSE"] = "1"; // nothing but that compiler stays behind
        start.Environment["DOTNET_TieredPGO"] = "0"; // a build is over before a profile of it would help
        await LadderProgram.RunAsync(start);
    }

    /// <summary>What <c>dotnet run</c> makes of a file: its directives as a project.</summary>
    private static string ProjectFor(string file)
    {
        var found = Directive().Matches(File.ReadAllText(file));
        var directives = found.ToLookup(directive => directive.Groups[1].Value, directive => directive.Groups[2].Value);
        var properties = directives["property"].Select(property => property.Split('=')).Select(pair => $"<{pair[0]}>{pair[1]}</{pair[0]}>");
        var packages = directives["package"].Select(package => $"""<PackageReference Include="{package}" />""");
        return $"""
            <Project Sdk="{directives["sdk"].SingleOrDefault("Microsoft.NET.Sdk")}">
              <PropertyGroup>
                <OutputType>Exe</OutputType>
                <EnableDefaultCompileItems>false</EnableDefaultCompileItems>
                <Features>$(Features);FileBasedProgram</Features>
                {string.Concat(properties)}
              </PropertyGroup>
              <ItemGroup>
                <Compile Include="{file}" />
                {string.Concat(packages)}
              </ItemGroup>
            </Project>
            """;
    }

    private async Task<string> RunWayAsync(string way) => await (await ProgramAsync(way)).RunAsync("2"); // seconds

    private async Task<string> CheckAsync(string step)
    {
        var program = await ProgramAsync(step);
        await _running.WaitAsync();
        try
        {
            using var folder = new TempFolder();
            await using var server = await program.StartAsync(folder);
            return await CheckAsync(server.Url);
        }
        finally
        {
            _running.Release();
        }
    }

    [GeneratedRegex(@"^#:(\w+) (\S+)", RegexOptions.Multiline)]
    private static partial Regex Directive();
}
