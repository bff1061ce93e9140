using SimpleChat.Hosting;
using SimpleChat.Http;
using SimpleChat.Limits;
using SimpleChat.Monitoring;
using SimpleChat.ScaleOut.Roles;
using SimpleChat.Settings;
using SimpleChat.Storage;
using SimpleChat.Webhooks;
using SimpleChat.Wire;

namespace SimpleChat.ScaleOut;

/// <summary>
/// Makes the single server a node of several: the same chat, with other services. What it stores with depends on its role
/// (<see cref="ScaleOutOptions.Role"/>).
/// </summary>
internal static class Node
{
    /// <summary>Replaces the database, the reader, the audience and the rate limit, and adds what keeps the nodes together.</summary>
    public static void AddNode(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        var role = ScaleOutOptions.RoleIn(builder.Configuration);
        ScaleOutOptions.Register(services);
        if (role == ScaleOutOptions.ConnectionsOnly)
            StoreInService(services);
        else
            StoreInPostgres(services, isHistoryKept: builder.Configuration.GetValue<bool>("ScaleOut:HistoryCache"));
        KeepTogether(services);
        if (role == ScaleOutOptions.ServiceOnly)
        {
            services.AddSingleton<ServiceCalls>();
            services.AddHostedService<ServiceListener>();
        }
    }

    /// <summary>Adds what the role serves at the public address. A service tells there how it is, and nothing else.</summary>
    public static void UseNode(this WebApplication app)
    {
        if (ScaleOutOptions.RoleIn(app.Configuration) != ScaleOutOptions.ServiceOnly)
        {
            app.ServeChat();
            return;
        }

        var chat = app.Services.GetRequiredService<Chat>();
        chat.Writer.Recovered = chat.Audience.Recover;
        HealthEndpoints.Map(app);
        Telemetry.Map(app);
        app.MapFallback(() => new RefusalResult(IsService));
    }

    private static readonly Refusal IsService =
        new(null, "This is a service, which stores for nodes. Connect to a node.", StatusCodes.Status404NotFound);

    private static void StoreInPostgres(IServiceCollection services, bool isHistoryKept)
    {
        services.AddSingleton<PostgresDatabase>();
        services.AddSingleton<IDatabase>(provider => provider.GetRequiredService<PostgresDatabase>());
        services.AddSingleton<PostgresReader>();
        services.AddSingleton<IMessageReader>(provider => provider.GetRequiredService<PostgresReader>());
        services.AddSingleton<ITail>(provider => provider.GetRequiredService<PostgresReader>());
        if (isHistoryKept)
            HistoryCache.Register(services);
        services.AddSingleton<WebhookOwner>();
        services.AddSingleton<WebhookTurn>(provider => provider.GetRequiredService<WebhookOwner>().WaitAsync);
        services.AddHostedService(provider => provider.GetRequiredService<WebhookOwner>());
    }

    private static void StoreInService(IServiceCollection services)
    {
        services.AddSingleton<ServiceClient>();
        services.AddSingleton<IDatabase, ServiceDatabase>();
        services.AddSingleton<ServiceReader>();
        services.AddSingleton<IMessageReader>(provider => provider.GetRequiredService<ServiceReader>());
        services.AddSingleton<ITail>(provider => provider.GetRequiredService<ServiceReader>());
        services.AddSingleton<WebhookTurn>(stop => Task.Delay(Timeout.Infinite, stop)); // services call webhooks
        services.AddHostedService<WebhookFollower>();
    }

    private static void KeepTogether(IServiceCollection services)
    {
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
            provider.GetRequiredService<Announcer>().Ask, provider.GetRequiredService<ClusterAudience>().MissReceipts,
            provider.GetRequiredService<TimeProvider>()));
        services.AddSingleton(new FarewellTime(TimeSpan.FromSeconds(2.5))); // the contract gives a server 5 s to end
        services.AddHostedService<Farewell>();
        services.AddHostedService<Membership>();
        services.AddSingleton<TailLook>();
        services.AddHostedService(provider => provider.GetRequiredService<TailLook>());
    }
}
