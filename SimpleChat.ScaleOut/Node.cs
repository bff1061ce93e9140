using SimpleChat.Hosting;
using SimpleChat.Limits;
using SimpleChat.Monitoring;
using SimpleChat.Settings;
using SimpleChat.Storage;
using SimpleChat.Webhooks;

namespace SimpleChat.ScaleOut;

/// <summary>Makes the single server a node of several: the same chat, with five of its services replaced.</summary>
internal static class Node
{
    /// <summary>Replaces the database, the reader, the audience and the rate limit, and adds what keeps the nodes together.</summary>
    public static void AddNode(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        ScaleOutOptions.Register(services);

        services.AddSingleton<PostgresDatabase>();
        services.AddSingleton<IDatabase>(provider => provider.GetRequiredService<PostgresDatabase>());
        services.AddSingleton<PostgresReader>();
        services.AddSingleton<IMessageReader>(provider => provider.GetRequiredService<PostgresReader>());

        services.AddSingleton<RedisServer>();
        services.AddSingleton<RedisMap>();
        services.AddSingleton<RateLimitOf>(provider => user => new RedisRateLimit(
            provider.GetRequiredService<RedisServer>(), user, provider.GetRequiredService<ChatOptions>().MessagesPerSecond,
            provider.GetRequiredService<TimeProvider>()));

        services.AddSingleton(provider =>
        {
            var here = provider.GetRequiredService<Connections>();
            var audience = new LocalAudience(here, () => 0);
            var traces = provider.GetRequiredService<Traces>();
            return new CommitChain(
                commit => ClusterAudience.Offer(audience, here, traces, commit), provider.GetRequiredService<TimeProvider>());
        });
        services.AddSingleton<Deliveries>();
        services.AddSingleton<Announcer>();
        services.AddSingleton<ClusterAudience>();
        services.AddSingleton<IAudience>(provider => provider.GetRequiredService<ClusterAudience>());
        services.AddSingleton(provider => new Hearing(
            provider.GetRequiredService<CommitChain>(), provider.GetRequiredService<Deliveries>(),
            provider.GetRequiredService<Announcer>().Ask, provider.GetRequiredService<ClusterAudience>().MissReceipts));
        services.AddSingleton<WebhookOwner>();
        services.AddSingleton<WebhookTurn>(provider => provider.GetRequiredService<WebhookOwner>().WaitAsync);
        services.AddSingleton(new FarewellTime(TimeSpan.FromSeconds(2.5))); // the contract gives a server 5 s to end
        services.AddHostedService<Membership>();
        services.AddHostedService(provider => provider.GetRequiredService<WebhookOwner>());
        services.AddSingleton<TailLook>();
        services.AddHostedService(provider => provider.GetRequiredService<TailLook>());
    }
}
