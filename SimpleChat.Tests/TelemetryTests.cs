using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging;

namespace SimpleChat.Tests;

/// <summary>What an operator can watch: traces, metrics and logs over OTLP, a scrape for Prometheus; nothing unless asked.</summary>
public sealed partial class TelemetryTests
{
    [Fact]
    public async Task A_trace_shows_a_messages_five_steps_and_the_commits_that_it_rode_in()
    {
        const long First = 7_000_000_001; // an id that no other server's message has: a listener hears of all servers in this process
        await using var server = await ChatServer.StartNewAsync();
        await server.StopAsync();
        await using (var connection = new SqliteConnection($"Data Source={server.DatabasePath};Pooling=False"))
        {
            await connection.OpenAsync();
            await using var command = connection.CreateCommand();
            command.CommandText = $"INSERT INTO sqlite_sequence VALUES ('MessageDB', {First - 1})";
            await command.ExecuteNonQueryAsync();
        }

        var spans = new ConcurrentQueue<Activity>();
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == "SimpleChat",
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = spans.Enqueue,
        };
        ActivitySource.AddActivityListener(listener);
        await server.StartAsync();
        Assert.Equal(First, (await new HttpUser(server.Http, "alice").SendAsync("bob", "hi")).Json.Id);
        await new HttpUser(server.Http, "bob").AckAsync(First);

        Activity? message = null;
        await Deadline.UntilAsync(() =>
        {
            message ??= spans.FirstOrDefault(span => Equals(span.GetTagItem("simplechat.message.id"), First));
            return Task.FromResult(message is not null && Steps().Any(span => span.OperationName == "delivered"));
        }, "the last step");
        Assert.Equal(["received", "stored", "looked up and pushed", "delivered"], Steps().Select(span => span.OperationName));
        Assert.Equal(Steps().Select(span => span.StartTimeUtc).Order(), Steps().Select(span => span.StartTimeUtc));
        foreach (var step in Steps().Where(step => step.OperationName is "stored" or "delivered"))
        {
            var commit = Assert.Single(spans, span => span.Context == Assert.Single(step.Links).Context);
            Assert.Equal("commit", commit.OperationName);
            Assert.Equal(1, commit.GetTagItem("simplechat.commit.size"));
        }

        IEnumerable<Activity> Steps() => spans.Where(span => span.ParentSpanId == message!.SpanId);
    }

    [Fact]
    public async Task Each_metric_that_the_dashboard_and_the_alerts_name_is_scraped()
    {
        using var folder = new TempFolder();
        await using var server = new ChatProcess { DatabasePath = folder.DatabasePath }; // no other server's meters are in its process
        server.Variables["OTEL_METRICS_EXPORTER"] = "prometheus";
        await server.StartAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        await new HttpUser(server.Http, "bob").SendAsync("alice", "a secret text");
        await alice.FindAsync("message");
        await alice.RawTextAsync("{}");
        await alice.FindAsync("error");
        var scrape = "";
        await Deadline.UntilAsync(async () =>
        {
            scrape = await server.Http.GetStringAsync("/metrics");
            return scrape.Contains("simplechat_messages_delivered_total", StringComparison.Ordinal);
        }, "a scrape");
        foreach (var file in (string[])["dashboard.json", "alerts.yml"])
        {
            var text = await File.ReadAllTextAsync(Path.Combine(ArchitectureTests.Root, "deploy", file));
            var names = Metric().Matches(text).Select(name => name.Value).Distinct().ToList();
            Assert.NotEmpty(names);
            Assert.All(names, name => Assert.Matches($"(?m)^{name}[ {{]", scrape));
        }

        Assert.Contains("simplechat_refused_total{", scrape, StringComparison.Ordinal);
        Assert.Contains("reason=\"invalid_recipient\"", scrape, StringComparison.Ordinal);
        Assert.DoesNotContain("alice", scrape, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", scrape, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Traces_metrics_and_logs_go_to_a_collector_and_without_one_nothing_of_OpenTelemetry_is_loaded()
    {
        using var folder = new TempFolder();
        await using var collector = await Collector.StartAsync();
        await using var watched = new ChatProcess { DatabasePath = folder.DatabasePath };
        watched.Variables["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector.Url;
        watched.Variables["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf";
        foreach (var interval in (string[])["OTEL_BSP_SCHEDULE_DELAY", "OTEL_BLRP_SCHEDULE_DELAY", "OTEL_METRIC_EXPORT_INTERVAL"])
            watched.Variables[interval] = "200";
        await watched.StartAsync();
        await using var unwatched = await new ChatProcess { DatabasePath = folder.File("other.db") }.StartAsync();
        Assert.Equal(404, (int)(await unwatched.Http.GetAsync(new Uri("/metrics", UriKind.Relative))).StatusCode);

        await new HttpUser(watched.Http, "alice").SendAsync("bob", "a secret text");
        await new HttpUser(watched.Http, "bob").AckAsync(1);
        await new HttpUser(watched.Http, "alice").PostAsync("/messages", "nonsense");
        await collector.HasAsync("/v1/traces", "looked up and pushed", "delivered", "commit", "SimpleChat");
        await collector.HasAsync("/v1/metrics", "simplechat.messages.stored", "simplechat.commit.duration");
        await collector.HasAsync("/v1/logs", "was refused");
        Assert.DoesNotContain("secret", collector.All, StringComparison.Ordinal);
        if (!OperatingSystem.IsLinux())
            return;
        Assert.Contains("OpenTelemetry", await File.ReadAllTextAsync($"/proc/{watched.Id}/maps"), StringComparison.Ordinal);
        Assert.DoesNotContain("OpenTelemetry", await File.ReadAllTextAsync($"/proc/{unwatched.Id}/maps"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_signal_with_an_endpoint_of_its_own_goes_there_alone()
    {
        await using var collector = await Collector.StartAsync();
        await using var server = await new ChatServer
        {
            ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] = collector.Url + "/own",
            ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf",
            ["OTEL_BSP_SCHEDULE_DELAY"] = "200",
        }.StartAsync();
        await new HttpUser(server.Http, "alice").SendAsync("bob", "hi");
        await collector.HasAsync("/own", "looked up and pushed", "commit");
    }

    /// <summary>Takes OTLP over HTTP. Its names are text within protobuf, and are found as they are.</summary>
    private sealed class Collector : IAsyncDisposable
    {
        private readonly WebApplication _app;
        private readonly ConcurrentQueue<(string Path, string Body)> _taken = new();

        private Collector()
        {
            var builder = WebApplication.CreateSlimBuilder();
            builder.Logging.ClearProviders();
            builder.WebHost.UseUrls("http://127.0.0.1:0");
            _app = builder.Build();
            _app.Run(async context =>
            {
                using var body = new MemoryStream();
                await context.Request.Body.CopyToAsync(body);
                _taken.Enqueue((context.Request.Path, Encoding.Latin1.GetString(body.ToArray())));
            });
        }

        public string Url => _app.Urls.Single();

        public string All => string.Join('\n', _taken.Select(taken => taken.Body));

        public static async Task<Collector> StartAsync()
        {
            var collector = new Collector();
            await collector._app.StartAsync();
            return collector;
        }

        public Task HasAsync(string path, params string[] texts) => Deadline.UntilAsync(
            () => Task.FromResult(texts.All(text =>
                _taken.Any(taken => taken.Path == path && taken.Body.Contains(text, StringComparison.Ordinal)))),
            $"{string.Join(", ", texts)} at {path}");

        public ValueTask DisposeAsync() => _app.DisposeAsync();
    }

    [GeneratedRegex(@"simplechat_[a-z_]+")]
    private static partial Regex Metric();
}
