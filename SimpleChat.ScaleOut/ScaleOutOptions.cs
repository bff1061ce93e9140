using SimpleChat.Settings;

namespace SimpleChat.ScaleOut;

/// <summary>What a node is: section <c>ScaleOut</c> of the configuration. A value that makes no sense stops the start.</summary>
internal sealed class ScaleOutOptions
{
    /// <summary>The only role that there is: the node has connections, and stores what comes over them.</summary>
    public const string All = "all";

    /// <summary>The longest name of a node.</summary>
    public const int MaxNameLength = 64;

    /// <summary>The node's name, for people who look into PostgreSQL, Redis and logs. Two nodes may have the same.</summary>
    public string Node { get; init; } = Environment.MachineName;

    /// <summary>What the node does: <c>all</c>.</summary>
    public string Role { get; init; } = All;

    /// <summary>Says what is wrong with the values, each complaint naming its key; empty if nothing is.</summary>
    public IEnumerable<string> Complaints()
    {
        if (Node.Length is 0 or > MaxNameLength || !Node.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.'))
            yield return $"ScaleOut:Node is '{Node}'; it must be 1 to {MaxNameLength} letters, digits, '-', '_' or '.'.";
        if (Role != All)
            yield return $"ScaleOut:Role is '{Role}'; the only role is '{All}'.";
    }

    /// <summary>Offers the section as <see cref="ScaleOutOptions"/>.</summary>
    public static void Register(IServiceCollection services) =>
        Section.Register<ScaleOutOptions>(services, "ScaleOut", options => options.Complaints());
}
