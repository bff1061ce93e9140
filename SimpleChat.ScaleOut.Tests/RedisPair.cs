using System.Globalization;
using Process = System.Diagnostics.Process;

namespace SimpleChat.Tests;

/// <summary>
/// A Redis with a replica, and a sentinel that makes the replica the master when the master has died
/// (https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/).
/// </summary>
internal sealed class RedisPair : IAsyncDisposable
{
    private readonly Engines _engines;
    private readonly int[] _ports = [LoopbackPort.Free(), LoopbackPort.Free()];
    private readonly int _sentinelsPort = LoopbackPort.Free();
    private readonly Process?[] _servers = new Process?[2];
    private Process? _sentinel;
    private int _master;

    private RedisPair(Engines engines) => _engines = engines;

    /// <summary><c>ConnectionStrings:Redis</c>.</summary>
    public string ConnectionString => string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{_sentinelsPort},serviceName=chat");

    /// <summary>Starts all three, and waits until the sentinel knows both of the others.</summary>
    public static async Task<RedisPair> StartAsync(Engines engines)
    {
        var pair = new RedisPair(engines);
        pair._servers[0] = engines.StartRedis(pair._ports[0]);
        await pair.StartReplicaAsync();
        pair._sentinel = engines.StartSentinel(pair._sentinelsPort, string.Create(CultureInfo.InvariantCulture, $"""
            sentinel monitor chat 127.0.0.1 {pair._ports[0]} 1
            sentinel down-after-milliseconds chat 2000
            sentinel failover-timeout chat 4000
            """));
        await SaysAsync(pair._sentinelsPort, "slaves=1", "INFO", "sentinel");
        return pair;
    }

    /// <summary>SIGKILL to the master.</summary>
    public void KillMaster() => Engines.Kill(_servers[_master]!);

    /// <summary>Waits until the replica is the master, and the sentinel says so.</summary>
    public Task FailOverAsync()
    {
        _master = 1 - _master;
        return SaysAsync(_sentinelsPort, $"address=127.0.0.1:{_ports[_master]},", "INFO", "sentinel");
    }

    /// <summary>Starts the other one as a replica, and waits until it has what the master has, and the sentinel sees it.</summary>
    public async Task StartReplicaAsync()
    {
        var replica = 1 - _master;
        _servers[replica] = _engines.StartRedis(_ports[replica], "--replicaof", "127.0.0.1", $"{_ports[_master]}");
        await SaysAsync(_ports[replica], "master_link_status:up", "INFO", "replication");
        if (_sentinel is not null)
            await SaysAsync(_sentinelsPort, "flags\nslave\n", "SENTINEL", "replicas", "chat");
    }

    /// <summary>A command to the master.</summary>
    public void TellMaster(params string[] command) => Engines.AskRedis(_ports[_master], command);

    public ValueTask DisposeAsync()
    {
        foreach (var server in _servers.Append(_sentinel))
            server?.StandardInput.Close();
        return ValueTask.CompletedTask;
    }

    private static Task SaysAsync(int port, string expected, params string[] command) => Deadline.UntilAsync(
        () => Task.FromResult(Engines.AskRedis(port, command).Contains(expected, StringComparison.Ordinal)), expected);
}
