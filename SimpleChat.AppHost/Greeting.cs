using Microsoft.Extensions.DependencyInjection;

namespace SimpleChat.AppHost;

/// <summary>Says where to go, once everything is there.</summary>
internal static class Greeting
{
    /// <summary>Waits for the balancer, which waits for all the others, and prints.</summary>
    public static async Task PrintAsync(DistributedApplication app, Ports ports)
    {
        Console.WriteLine($"Starting PostgreSQL, Redis, two nodes and HAProxy. How far they are: http://localhost:{ports.Dashboard}");
        await app.Services.GetRequiredService<ResourceNotificationService>().WaitForResourceHealthyAsync("haproxy");
        Console.WriteLine($$"""

            The chat is there: HAProxy on port {{ports.Balancer}}, node1 on {{ports.Node1}}, node2 on {{ports.Node2}}.
              The page        http://localhost:{{ports.Balancer}}
              bob on node2    npx -y wscat -c "ws://localhost:{{ports.Node2}}/chat?user=bob"
              alice on node1  npx -y wscat -c "ws://localhost:{{ports.Node1}}/chat?user=alice"    and then:  > {"to":"bob","text":"hi bob"}
              The dashboard   http://localhost:{{ports.Dashboard}}    Traces: a message's way over both nodes
              Inside          psql -h localhost -p {{ports.Postgres}} -U postgres chat    redis-cli -p {{ports.Redis}}
              A node dies     pkill -9 -f Node=node2    It starts again from the dashboard.
            Ctrl+C ends all of it, and nothing is kept.
            """);
    }
}
