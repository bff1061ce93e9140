using System.Diagnostics;
using System.Globalization;

namespace SimpleChat.Tests.Batteries;

/// <summary>
/// A network cable between two machines, two network namespaces of Linux. It can be cut: then peers vanish without a word of TCP. Laying
/// one takes root. This machine's own network does not change: a browser would break off what it loads (net::ERR_NETWORK_CHANGED).
/// </summary>
internal sealed class Cable : IDisposable
{
    private readonly string _name = $"chat{Environment.ProcessId % 100_000:x}";
    private readonly List<Process> _peers = [];

    public Cable()
    {
        string[] steps =
        [
            $"netns add {Here}", $"netns add {There}", $"-n {Here} link add cable type veth peer name cable netns {There}",
            $"-n {Here} address add {Address}/30 dev cable", $"-n {Here} link set cable up",
            $"-n {There} address add 198.18.0.2/30 dev cable", $"-n {There} link set cable up",
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

    /// <summary>The server's address; out of a network that is nobody's (RFC 2544).</summary>
    public static string Address => "198.18.0.1";

    /// <summary>The command that starts a program at the server's end.</summary>
    public IReadOnlyList<string> AtThisEnd => ["ip", "netns", "exec", Here];

    private string Here => _name + "h";

    private string There => _name + "t";

    /// <summary>A peer at the other end asks for this path, and takes what comes, for as long as there is a cable.</summary>
    public void Ask(int port, string path)
    {
        var request = $"GET {path} HTTP/1.1\\r\\nHost: chat\\r\\n\\r\\n";
        var script = string.Create(CultureInfo.InvariantCulture,
            $"exec 3<>/dev/tcp/{Address}/{port}; printf '{request}' >&3; exec cat <&3 >/dev/null");
        _peers.Add(Process.Start("ip", ["netns", "exec", There, "bash", "-c", script]));
    }

    public void Cut() => Run($"-n {Here} link set cable down");

    public void Dispose()
    {
        foreach (var peer in _peers)
        {
            peer.Kill(entireProcessTree: true);
            peer.Dispose();
        }

        Run($"netns delete {Here}");
        Run($"netns delete {There}");
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
