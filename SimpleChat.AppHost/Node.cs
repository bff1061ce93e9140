using System.Reflection;

namespace SimpleChat.AppHost;

/// <summary>A node: <c>SimpleChat.ScaleOut</c>, as it was built along with this program.</summary>
internal static class Node
{
    private static readonly string s_folder = Path.GetFullPath(typeof(Node).Assembly
        .GetCustomAttributes<AssemblyMetadataAttribute>().Single(data => data.Key == "NodeFolder").Value!);

    /// <summary>Lets it be started. What it measures, traces and logs goes to the dashboard.</summary>
    public static IResourceBuilder<ExecutableResource> AddTo(
        IDistributedApplicationBuilder builder, string name, int port, Postgres postgres, Redis redis) =>
        builder.AddExecutable(name, Path.Combine(s_folder, "SimpleChat.ScaleOut"), s_folder, $"--ScaleOut:Node={name}")
            .WithHttpEndpoint(port, isProxied: false)
            .WithHttpHealthCheck("/alive")
            .WithEnvironment("ASPNETCORE_ENVIRONMENT", "Development")
            .WithEnvironment("ASPNETCORE_URLS", "http://" + Ports.At(port))
            .WithEnvironment("ConnectionStrings__Postgres", postgres.ConnectionString)
            .WithEnvironment("ConnectionStrings__Redis", redis.ConnectionString)
            .WithEnvironment("ForwardedHeaders__KnownProxies__0", "127.0.0.1")
            .WithOtlpExporter();
}
