using System.Globalization;

namespace SimpleChat.Tests;

/// <summary>
/// A network of Linux's own: a switch on this machine, and for each node a namespace with a cable to it (ip-netns(8)). What a node sends
/// over a pulled cable goes nowhere, and nobody is told, as in a machine room.
/// </summary>
internal sealed class Network : IAsyncDisposable
{
    private static int s_networks;

    private readonly string _name = string.Create(CultureInfo.InvariantCulture,
        $"sc{Environment.ProcessId % 100_000}x{Interlocked.Increment(ref s_networks)}"); // an interface's name has 15 characters at most

    private readonly int _subnet = 1 + ((Environment.ProcessId + s_networks) % 254);
    private readonly int _nodes;

    private Network(int nodes) => _nodes = nodes;

    /// <summary>Why there can be none; null if there can. In CI there must.</summary>
    public static string? Missing { get; } = Environment.GetEnvironmentVariable("CI") == "true" ? null
        : !Environment.IsPrivilegedProcess ? "Network namespaces need root."
        : Tool.Try("ip", "-V");

    /// <summary>This machine's address.</summary>
    public string Here => AddressOf(-1);

    public static async Task<Network> CreateAsync(int nodes)
    {
        var network = new Network(nodes);
        await IpAsync($"link add {network._name} type bridge");
        await IpAsync($"addr add {network.Here}/24 dev {network._name}");
        await IpAsync($"link set {network._name} up");
        for (var node = 0; node < nodes; node++)
        {
            var (space, cable) = (network.SpaceOf(node), network.CableOf(node));
            await IpAsync($"netns add {space}");
            await IpAsync($"link add {cable} type veth peer name eth0 netns {space}");
            await IpAsync($"-n {space} addr add {network.AddressOf(node)}/24 dev eth0");
            await IpAsync($"-n {space} link set eth0 up");
            await IpAsync($"-n {space} link set lo up");
            await IpAsync($"link set {cable} up");
            await network.PlugAsync(node);
        }

        return network;
    }

    /// <summary>A node's address.</summary>
    public string AddressOf(int node) => string.Create(CultureInfo.InvariantCulture, $"10.83.{_subnet}.{node + 2}");

    /// <summary>A command that is to run at a node's place. It keeps its process id.</summary>
    public string[] CommandAt(int node, params string[] command) => ["ip", "netns", "exec", SpaceOf(node), .. command];

    /// <summary>Pulls the node's cable out of the switch.</summary>
    public Task PullAsync(int node) => IpAsync($"link set {CableOf(node)} nomaster");

    /// <summary>Plugs it in again.</summary>
    public Task PlugAsync(int node) => IpAsync($"link set {CableOf(node)} master {_name}");

    public async ValueTask DisposeAsync()
    {
        for (var node = 0; node < _nodes; node++)
            await IpAsync($"netns del {SpaceOf(node)}");
        await IpAsync($"link del {_name}");
    }

    private string SpaceOf(int node) => $"{_name}n{node}";

    private string CableOf(int node) => $"{_name}c{node}";

    private static async Task IpAsync(string arguments)
    {
        var (code, said) = await Tool.RunAsync("ip", arguments.Split(' '));
        Assert.True(code == 0, $"ip {arguments}: {said}");
    }
}
