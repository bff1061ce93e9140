namespace SimpleChat.Tests;

/// <summary>Settings of nodes that have connections alone, and of services apart that store for them.</summary>
internal static class Roles
{
    /// <summary>What both know one another by.</summary>
    public const string Secret = "0123456789abcdef0123456789abcdef";

    /// <summary>
    /// Whether all tests have services apart: <c>ROLES=apart dotnet test SimpleChat.ScaleOut.Tests -p:Contract=all</c>. If not, those have
    /// that say so.
    /// </summary>
    public static bool Apart { get; } = Environment.GetEnvironmentVariable("ROLES") == "apart";

    /// <summary>A service that listens for nodes at an address.</summary>
    public static (string Key, string Value)[] Service(string listen) =>
        [("ScaleOut:Role", "service"), ("ScaleOut:Listen", listen), ("ScaleOut:Secret", Secret)];

    /// <summary>A node whose services are at these addresses.</summary>
    public static (string Key, string Value)[] Connections(params string[] services) =>
        [("ScaleOut:Role", "connections"), ("ScaleOut:Service", string.Join(';', services)), ("ScaleOut:Secret", Secret)];

    /// <summary>The settings as a process takes them.</summary>
    public static IEnumerable<string> Arguments(IEnumerable<(string Key, string Value)> settings) =>
        settings.Select(setting => $"--{setting.Key}={setting.Value}");
}
