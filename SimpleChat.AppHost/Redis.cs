using System.Globalization;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace SimpleChat.AppHost;

/// <summary>A Redis of this run's own. Nothing in it needs to be kept, so it stores nothing.</summary>
/// <param name="ports">Where it listens.</param>
/// <exception cref="StartException">It is not installed.</exception>
internal sealed class Redis(Ports ports)
{
    private readonly string _server = Installed.Find("redis-server", "redis-server");
    private readonly string _client = Installed.Find("redis-cli", "redis-tools");
    private readonly string _port = ports.Redis.ToString(CultureInfo.InvariantCulture);

    /// <summary><c>ConnectionStrings:Redis</c> of the nodes.</summary>
    public string ConnectionString => $"127.0.0.1:{_port}";

    /// <summary>Lets it be started.</summary>
    public IResourceBuilder<ExecutableResource> AddTo(IDistributedApplicationBuilder builder, RunFolder folder)
    {
        builder.Services.AddHealthChecks().AddCheck("redis", () =>
            Installed.Succeeds(_client, "-p", _port, "ping") ? HealthCheckResult.Healthy() : HealthCheckResult.Unhealthy());
        return builder
            .AddExecutable("redis", _server, folder[""],
                "--port", _port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--pidfile", folder["redis.pid"])
            .WithHealthCheck("redis");
    }
}
