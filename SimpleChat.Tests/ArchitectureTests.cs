using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;

namespace SimpleChat.Tests;

/// <summary>The house, held to its plan.</summary>
public sealed partial class ArchitectureTests
{
    /// <summary>Files that bring the core to the outside, and may know who is outside.</summary>
    private static readonly string[] Entrances = ["Program.cs", "InboxEndpoints.cs"];

    [Fact]
    public void I10_The_core_names_no_transport_beside_the_WebSocket_and_nothing_of_scaling_out()
    {
        var core = Directory.GetFiles(Path.Combine(Root, "SimpleChat"), "*.cs").Where(file => !Entrances.Contains(Path.GetFileName(file))).ToList();
        Assert.True(core.Count > 10);
        Assert.All(core, file => Assert.DoesNotMatch(Wings(), File.ReadAllText(file)));
    }

    [GeneratedRegex("long.?poll|server.?sent|EventSource|SSE\\b|webhook|redis|postgres|npgsql|rabbit|kafka|nats|backplane|broker", RegexOptions.IgnoreCase)]
    private static partial Regex Wings();

    /// <summary>The folder of the whole repository.</summary>
    internal static string Root { get; } = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(Here())!, ".."));

    private static string Here([CallerFilePath] string here = "") => here;
}
