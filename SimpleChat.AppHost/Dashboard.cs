using Microsoft.Extensions.Configuration;

namespace SimpleChat.AppHost;

/// <summary>Aspire's dashboard: what runs, what it logs, its metrics and traces. Whoever is on this machine may look.</summary>
internal static class Dashboard
{
    /// <summary>Says where it listens (https://aspire.dev/app-host/configuration). Whatever the environment says comes after.</summary>
    public static void Configure(ConfigurationManager configuration, Ports ports) =>
        configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["ASPNETCORE_URLS"] = At(ports.Dashboard),
            ["ASPIRE_DASHBOARD_OTLP_ENDPOINT_URL"] = At(ports.Telemetry),
            ["ASPIRE_RESOURCE_SERVICE_ENDPOINT_URL"] = At(ports.Resources),
            ["ASPIRE_DASHBOARD_UNSECURED_ALLOW_ANONYMOUS"] = "true",
            ["Logging:LogLevel:Default"] = "Warning",
            ["Logging:LogLevel:Aspire.Hosting.Dashboard"] = "Error", // it warns that anybody on this machine may look
        });

    private static string At(int port) => $"http://localhost:{port}";
}
