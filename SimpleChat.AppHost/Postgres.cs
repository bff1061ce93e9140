using System.Globalization;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace SimpleChat.AppHost;

/// <summary>A PostgreSQL of this run's own, as in production but for its size: what it says is committed is on disk.</summary>
internal sealed class Postgres
{
    private const string Package = "postgresql", Versions = "/usr/lib/postgresql"; // where Debian has it, one folder for each version

    private readonly string _initdb, _postgres, _isReady, _port;

    /// <exception cref="StartException">It is not installed.</exception>
    public Postgres(Ports ports)
    {
        string[] folders = Directory.Exists(Versions)
            ? [.. Directory.GetDirectories(Versions).OrderBy(folder => int.Parse(Path.GetFileName(folder), CultureInfo.InvariantCulture))
                .Select(version => Path.Combine(version, "bin"))]
            : [];
        _initdb = Installed.Find("initdb", Package, folders);
        _postgres = Installed.Find("postgres", Package, folders);
        _isReady = Installed.Find("pg_isready", Package, folders);
        _port = ports.Postgres.ToString(CultureInfo.InvariantCulture);
    }

    /// <summary><c>ConnectionStrings:Postgres</c> of the nodes.</summary>
    public string ConnectionString => $"Host=127.0.0.1;Port={_port};Username=postgres;Database=chat";

    /// <summary>Makes its files and an empty database. Whoever can log in to this machine gets in, and nobody else.</summary>
    public void Create(RunFolder folder)
    {
        if (Environment.IsPrivilegedProcess)
            Installed.Run([Installed.Find("chown", "coreutils"), "postgres", folder[""]]); // it refuses to run as root
        Installed.Run([.. AsItself(_initdb),
            "-D", Data(folder), "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]);
        Installed.Run([.. AsItself(_postgres), "--single", "-D", Data(folder), "postgres"], "CREATE DATABASE chat\n");
    }

    /// <summary>Lets it be started.</summary>
    public IResourceBuilder<ExecutableResource> AddTo(IDistributedApplicationBuilder builder, RunFolder folder)
    {
        builder.Services.AddHealthChecks().AddCheck("postgres", () =>
            Installed.Succeeds(_isReady, "-h", "127.0.0.1", "-p", _port) ? HealthCheckResult.Healthy() : HealthCheckResult.Unhealthy());
        var command = AsItself(_postgres);
        return builder
            .AddExecutable("postgres", command[0], folder[""],
                [.. command[1..], "-D", Data(folder), "-k", folder[""], "-h", "127.0.0.1", "-p", _port])
            .WithHealthCheck("postgres");
    }

    private static string Data(RunFolder folder) => folder["postgres"];

    private static string[] AsItself(string program) => Environment.IsPrivilegedProcess
        ? [Installed.Find("setpriv", "util-linux"), "--reuid=postgres", "--regid=postgres", "--clear-groups", program]
        : [program];
}
