using System.Net;
using SimpleChat.Settings;

namespace SimpleChat.ScaleOut;

/// <summary>What a node is: section <c>ScaleOut</c> of the configuration. A value that makes no sense stops the start.</summary>
internal sealed class ScaleOutOptions
{
    /// <summary>The role of a node that has connections, and stores what comes over them.</summary>
    public const string All = "all";

    /// <summary>The role of a node that has connections and no database: services store for it.</summary>
    public const string ConnectionsOnly = "connections";

    /// <summary>The role of a process that has no connections of users, and stores for nodes that have.</summary>
    public const string ServiceOnly = "service";

    /// <summary>The longest name of a node.</summary>
    public const int MaxNameLength = 64;

    /// <summary>The shortest secret, in characters: 32 random hexadecimal digits cannot be guessed.</summary>
    public const int MinSecretLength = 32;

    private const string SecretHint = "openssl rand -hex 32 makes one";

    /// <summary>The node's name, for people who look into PostgreSQL, Redis and logs. Two nodes may have the same.</summary>
    public string Node { get; init; } = Environment.MachineName;

    /// <summary>What the node does: <c>all</c>, <c>connections</c> or <c>service</c>.</summary>
    public string Role { get; init; } = All;

    /// <summary>Where services are, for a node of role <c>connections</c>: addresses, separated by semicolons.</summary>
    public string Service { get; init; } = "";

    /// <summary>Where a process of role <c>service</c> listens for nodes: an inner address of this machine.</summary>
    public string Listen { get; init; } = "";

    /// <summary>What nodes and services know one another by.</summary>
    public string Secret { get; init; } = "";

    /// <summary>Whether closed pages of history are kept: see <see cref="ScaleOut.HistoryCache"/>.</summary>
    public bool HistoryCache { get; init; }

    /// <summary>The addresses out of <see cref="Service"/>.</summary>
    public IEnumerable<string> Services => Service.Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    /// <summary>Reads the role before there are services. Whether it makes sense is said later.</summary>
    public static string RoleIn(IConfiguration configuration) => configuration["ScaleOut:Role"] ?? All;

    /// <summary>Says what is wrong with the values, each complaint naming its key; empty if nothing is.</summary>
    public IEnumerable<string> Complaints()
    {
        if (Node.Length is 0 or > MaxNameLength || !Node.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.'))
            yield return $"ScaleOut:Node is '{Node}'; it must be 1 to {MaxNameLength} letters, digits, '-', '_' or '.'.";
        if (Role is not (All or ConnectionsOnly or ServiceOnly))
            yield return $"ScaleOut:Role is '{Role}'; the roles are '{All}', '{ConnectionsOnly}' and '{ServiceOnly}'.";
        if (Role == ConnectionsOnly && (!Services.Any() || !Services.All(url => Parse(url) is not null)))
            yield return $"ScaleOut:Service is '{Service}'; expected where services listen, like http://10.0.0.7:5090;http://10.0.0.8:5090";
        if (Role == ServiceOnly && !(Parse(Listen) is { } at && (at.Host == "localhost" || IPAddress.TryParse(at.DnsSafeHost, out _))))
            yield return $"ScaleOut:Listen is '{Listen}'; expected an inner address of this machine, like http://10.0.0.7:5090.";
        if (Role != ConnectionsOnly && Service.Length > 0)
            yield return $"ScaleOut:Service is set, and has no effect unless ScaleOut:Role is '{ConnectionsOnly}'.";
        if (Role != ServiceOnly && Listen.Length > 0)
            yield return $"ScaleOut:Listen is set, and has no effect unless ScaleOut:Role is '{ServiceOnly}'.";
        if (Role == ConnectionsOnly && HistoryCache)
            yield return $"ScaleOut:HistoryCache has no effect if ScaleOut:Role is '{ConnectionsOnly}'; set it on the services.";
        if (Role != All && (Secret.Length < MinSecretLength || !Secret.All(char.IsAsciiLetterOrDigit)))
            yield return $"ScaleOut:Secret must be at least {MinSecretLength} ASCII letters and digits; {SecretHint}.";
    }

    /// <summary>Offers the section as <see cref="ScaleOutOptions"/>.</summary>
    public static void Register(IServiceCollection services) =>
        Section.Register<ScaleOutOptions>(services, "ScaleOut", options => options.Complaints());

    private static Uri? Parse(string url) =>
        Uri.TryCreate(url, UriKind.Absolute, out var uri) && uri is { Scheme: "http" or "https", PathAndQuery: "/" } ? uri : null;
}
