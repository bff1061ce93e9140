using System.Diagnostics;
using System.Reflection;

namespace SimpleChat.Lab;

/// <summary>What the Lab starts as its server: SimpleChat, or a step of the ladder.</summary>
/// <param name="Name">As the page shows it.</param>
/// <param name="Protocol">The WebSocket subprotocol that its clients ask for; empty if it selects none.</param>
/// <param name="Assembly">The built program.</param>
/// <param name="Points">Where it can be killed.</param>
/// <param name="Arguments">Its command line, for an address to listen on, the database's folder and the page's origins.</param>
internal sealed record ServedProgram(
    string Name, string Protocol, string Assembly, Point[] Points, Func<string, string, string[], IEnumerable<string>> Arguments)
{
    private const string Acknowledged = "chat.ack";

    /// <summary>The folder of the whole repository.</summary>
    public static string Root { get; } = Metadata("Root");

    /// <summary>Finds the program.</summary>
    /// <param name="file">A step of the ladder, as <c>.cs</c> or built already; null for SimpleChat.</param>
    /// <exception cref="LabException">It is not there, or it does not build.</exception>
    public static ServedProgram Find(string? file)
    {
        if (file is null)
        {
            var server = Metadata("Server");
            return File.Exists(server)
                ? new ServedProgram("SimpleChat", Acknowledged, server, Point.OfSimpleChat, ForSimpleChat)
                : throw new LabException($"The server is not built: {server} is not there. Run: dotnet build SimpleChat");
        }

        if (!File.Exists(file))
            throw new LabException($"There is no {file}. --server takes a step of the ladder, like ladder/05-inbox.cs.");
        var assembly = Path.GetExtension(file) switch
        {
            ".cs" => Build(Path.GetFullPath(file)),
            ".dll" => Path.GetFullPath(file),
            _ => throw new LabException($"--server takes a C# file, like ladder/05-inbox.cs, and not {file}."),
        };
        var name = Path.GetFileNameWithoutExtension(file);
        var source = Path.Combine(Root, "ladder", $"{name}.cs");
        var knowsAcks = File.Exists(source) && File.ReadAllText(source).Contains($"\"{Acknowledged}\"", StringComparison.Ordinal);
        return new ServedProgram(name, knowsAcks ? Acknowledged : "", assembly, Point.OfAnyServer, (url, _, _) => [url]);
    }

    private static IEnumerable<string> ForSimpleChat(string url, string folder, string[] origins) =>
    [
        "--urls", url, $"--ConnectionStrings:Chat=Data Source={Path.Combine(folder, "chat.db")}",
        .. origins.Select((origin, i) => $"--Chat:AllowedOrigins:{i}={origin}"),
    ];

    /// <summary>Builds a single file, as <c>dotnet run</c> would, and asks where it is then.</summary>
    private static string Build(string file)
    {
        var start = new ProcessStartInfo("dotnet", ["build", file, "--nologo", "-v", "quiet", "-getProperty:TargetPath", "-t:Build"])
        {
            RedirectStandardOutput = true,
        };
        start.Environment["MSBUILDDISABLENODEREUSE"] = "1"; // what stays behind would hold the output open
        using var build = Process.Start(start)!;
        var output = build.StandardOutput.ReadToEnd();
        build.WaitForExit();
        var assembly = output.Trim();
        return build.ExitCode == 0 && File.Exists(assembly)
            ? assembly
            : throw new LabException($"{file} does not build. See: dotnet build {file}");
    }

    private static string Metadata(string key) => typeof(ServedProgram).Assembly
        .GetCustomAttributes<AssemblyMetadataAttribute>().Single(metadata => metadata.Key == key).Value!;
}

/// <summary>The Lab cannot start. The message is one line, for the person who started it.</summary>
internal sealed class LabException(string message, Exception? inner = null) : Exception(message, inner);
