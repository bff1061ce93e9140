using System.Runtime.CompilerServices;
using OpenTelemetry;
using OpenTelemetry.Logs;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using SimpleChat.Monitoring;

namespace SimpleChat.Hosting;

/// <summary>
/// Exports metrics, traces and logs with OpenTelemetry. The standard variables switch it on
/// (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables): <c>OTEL_EXPORTER_OTLP_ENDPOINT</c> sends all three,
/// <c>OTEL_EXPORTER_OTLP_TRACES_ENDPOINT</c>, <c>…_METRICS_…</c> and <c>…_LOGS_…</c> one of them, and
/// <c>OTEL_METRICS_EXPORTER=prometheus</c> serves <c>/metrics</c>. Without them, nothing of OpenTelemetry is even loaded.
/// </summary>
internal static class Telemetry
{
    private const string ScrapePath = "/metrics";

    /// <summary>The signals, as the variables' names have them.</summary>
    private const string TracesSignal = "TRACES", MetricsSignal = "METRICS", LogsSignal = "LOGS";

    private static readonly string[] Signals = [TracesSignal, MetricsSignal, LogsSignal];

    private static readonly string[] Meters =
        [Metrics.MeterName, "System.Runtime", "Microsoft.AspNetCore.Hosting", "Microsoft.AspNetCore.Server.Kestrel"];

    /// <summary>Adds the exporters that the variables ask for.</summary>
    public static void Add(WebApplicationBuilder builder)
    {
        if (IsAnyPushed(builder.Configuration) || IsScraped(builder.Configuration))
            AddExporters(builder);
    }

    /// <summary>Serves <c>/metrics</c> if it is asked for. It needs no identity: there is no name in it, and no address.</summary>
    public static void Map(WebApplication app)
    {
        if (IsScraped(app.Configuration))
            MapScrape(app);
    }

    /// <summary>Whether a signal has somewhere to go.</summary>
    private static bool IsPushed(ConfigurationManager configuration, string signal) =>
        configuration["OTEL_EXPORTER_OTLP_ENDPOINT"] is { Length: > 0 }
        || configuration[$"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT"] is { Length: > 0 };

    private static bool IsAnyPushed(ConfigurationManager configuration) =>
        Array.Exists(Signals, signal => IsPushed(configuration, signal));

    private static bool IsScraped(IConfiguration configuration) =>
        configuration["OTEL_METRICS_EXPORTER"]?.Split(',', StringSplitOptions.TrimEntries).Contains("prometheus") == true;

    [MethodImpl(MethodImplOptions.NoInlining)] // so that the packages are loaded only if it is called
    private static void AddExporters(WebApplicationBuilder builder)
    {
        var (configuration, isScraped) = (builder.Configuration, IsScraped(builder.Configuration));
        var telemetry = builder.Services.AddOpenTelemetry()
            .ConfigureResource(resource => resource.AddService("SimpleChat").AddEnvironmentVariableDetector()); // OTEL_SERVICE_NAME wins
        if (isScraped || IsPushed(configuration, MetricsSignal))
        {
            telemetry.WithMetrics(metrics =>
            {
                metrics.AddMeter(Meters);
                if (isScraped)
                    metrics.AddPrometheusExporter(scrape => scrape.ScrapeEndpointPath = ScrapePath);
            });
        }

        if (IsPushed(configuration, TracesSignal))
            telemetry.WithTracing(traces => traces.AddSource(Traces.SourceName));
        if (IsAnyPushed(configuration))
            telemetry.WithLogging().UseOtlpExporter(); // of all three, and reads the variables of each
        if (!IsPushed(configuration, LogsSignal))
            builder.Logging.AddFilter<OpenTelemetryLoggerProvider>(_ => false);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void MapScrape(WebApplication app) => app.MapPrometheusScrapingEndpoint(ScrapePath);
}
