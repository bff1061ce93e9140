using System.Runtime.CompilerServices;
using OpenTelemetry;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using SimpleChat.Monitoring;

namespace SimpleChat.Hosting;

/// <summary>
/// Exports metrics, traces and logs with OpenTelemetry. The standard variables switch it on
/// (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables): <c>OTEL_EXPORTER_OTLP_ENDPOINT</c> sends all three,
/// and <c>OTEL_METRICS_EXPORTER=prometheus</c> serves <c>/metrics</c>. Without them, nothing of OpenTelemetry is even loaded.
/// </summary>
internal static class Telemetry
{
    private const string ScrapePath = "/metrics";

    private static readonly string[] Meters =
        [Metrics.MeterName, "System.Runtime", "Microsoft.AspNetCore.Hosting", "Microsoft.AspNetCore.Server.Kestrel"];

    /// <summary>Adds the exporters that the variables ask for.</summary>
    public static void Add(WebApplicationBuilder builder)
    {
        if (IsPushed(builder.Configuration) || IsScraped(builder.Configuration))
            AddExporters(builder);
    }

    /// <summary>Serves <c>/metrics</c> if it is asked for. It needs no identity: there is no name in it, and no address.</summary>
    public static void Map(WebApplication app)
    {
        if (IsScraped(app.Configuration))
            MapScrape(app);
    }

    private static bool IsPushed(ConfigurationManager configuration) =>
        configuration["OTEL_EXPORTER_OTLP_ENDPOINT"] is { Length: > 0 };

    private static bool IsScraped(IConfiguration configuration) =>
        configuration["OTEL_METRICS_EXPORTER"]?.Split(',', StringSplitOptions.TrimEntries).Contains("prometheus") == true;

    [MethodImpl(MethodImplOptions.NoInlining)] // so that the packages are loaded only if it is called
    private static void AddExporters(WebApplicationBuilder builder)
    {
        var telemetry = builder.Services.AddOpenTelemetry()
            .ConfigureResource(resource => resource.AddService("SimpleChat").AddEnvironmentVariableDetector()) // OTEL_SERVICE_NAME wins
            .WithMetrics(metrics =>
            {
                metrics.AddMeter(Meters);
                if (IsScraped(builder.Configuration))
                    metrics.AddPrometheusExporter(scrape => scrape.ScrapeEndpointPath = ScrapePath);
            });
        if (IsPushed(builder.Configuration))
            telemetry.WithTracing(traces => traces.AddSource(Traces.SourceName)).WithLogging().UseOtlpExporter();
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void MapScrape(WebApplication app) => app.MapPrometheusScrapingEndpoint(ScrapePath);
}
