using System.Runtime.CompilerServices;

namespace SimpleChat.AppHost;

/// <summary>The balancer, with its file of <c>deploy/</c> as it is.</summary>
/// <param name="ports">Where it listens, and the nodes.</param>
/// <exception cref="StartException">It is not installed.</exception>
internal sealed class HAProxy(Ports ports)
{
    private readonly string _program = Installed.Find("haproxy", "haproxy");

    /// <summary>Lets it be started.</summary>
    public IResourceBuilder<ExecutableResource> AddTo(IDistributedApplicationBuilder builder)
    {
        var file = Path.GetFullPath(Path.Combine(Here(), "..", "deploy", "haproxy-scaled-out.cfg"));
        return builder
            .AddExecutable("haproxy", _program, Path.GetDirectoryName(file)!, "-db", "-f", file)
            .WithHttpEndpoint(ports.Balancer, isProxied: false)
            .WithHttpHealthCheck("/alive")
            .WithEnvironment("LISTEN", Ports.At(ports.Balancer))
            .WithEnvironment("LISTEN_L4", Ports.At(ports.Layer4))
            .WithEnvironment("NODE1", Ports.At(ports.Node1))
            .WithEnvironment("NODE2", Ports.At(ports.Node2));
    }

    private static string Here([CallerFilePath] string here = "") => Path.GetDirectoryName(here)!;
}
