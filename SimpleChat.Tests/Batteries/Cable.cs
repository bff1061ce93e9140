using System.Diagnostics;
using System.Globalization;

namespace SimpleChat.Tests.Batteries;

/// <summary>
/// A network cable to another machine, a network namespace of Linux, which can be cut: then its peers vanish without a word of TCP. Laying
/// one takes root.
/// </summary>
internal sealed class Cable : IDisposable
{
    private readonly string _name = $"chat{Environment.ProcessId % 100_000:x}";
    private readonly List<Process> _peers = [];

    public Cable()
    {
        string[] steps =
        [
            $"netns add {_name}", $"link add {Here} type veth peer name {There}", $"link set {There} netns {_name}",
            $"address add {Address}/30 dev {Here}", $"link set {Here} up", $"-n {_name} address add 198.18.0.2/30 dev {There}",
            $"-n {_name} link set {There} up",
        ];
        foreach (var step in steps)
        {
            if (Run(step) is not { } problem)
                continue;
            Dispose();
            throw new InvalidOperationException(problem);
        }
    }

    /// <summary>Why there cannot be one here; null if there can.</summary>
    public static string? Missing { get; } = Try();

    /// <summary>This end's address; out of a network that is nobody's (RFC 2544).</summary>
    public static string Address => "198.18.0.1";

    private string Here => _name + "h";

    private string There => _name + "t";

    /// <summary>A peer at the other end asks for this path, and takes what comes, for as long as there is a cable.</summary>
    public void Ask(int port, string path)
    {
        var request = $"GET {path} HTTP/1.1\\r\\nHost: chat\\r\\n\\r\\n";
        var script = string.Create(CultureInfo.InvariantCulture,
            $"exec 3<>/dev/tcp/{Address}/{port}; printf '{request}' >&3; exec cat <&3 >/dev/null");
        _peers.Add(Process.Start("ip", ["netns", "exec", _name, "bash", "-c", script]));
    }

    public void Cut() => Run($"link set {Here} down");

    public void Dispose()
    {
        foreach (var peer in _peers)
        {
            peer.Kill(entireProcessTree: true);
            peer.Dispose();
        }

        Run($"link delete {Here}");
        Run($"netns delete {_name}");
    }

    private static string? Try()
    {
        try
        {
            using var cable = new Cable();
            return null;
        }
        catch (InvalidOperationException e)
        {
            return e.Message;
        }
    }

    /// <returns>What went wrong; null if nothing did.</returns>
    private static string? Run(string arguments) => Tool.Try("ip", arguments.Split(' '));
}

/// <summary>A test that needs a <see cref="Cable"/>: without it skipped with the reason.</summary>
internal sealed class CableFactAttribute : FactAttribute
{
    public CableFactAttribute() => Skip = Cable.Missing;
}
