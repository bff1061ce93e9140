using Microsoft.Extensions.Logging.Console;
using SimpleChat.Http;
using SimpleChat.Identity;
using SimpleChat.Limits;
using SimpleChat.LongPolling;
using SimpleChat.Monitoring;
using SimpleChat.Network;
using SimpleChat.Queues;
using SimpleChat.ServerSentEvents;
using SimpleChat.Settings;
using SimpleChat.Storage;
using SimpleChat.Webhooks;
using SimpleChat.WebSockets;
using SimpleChat.Wire;

namespace SimpleChat.Hosting;

/// <summary>Puts the server together: its services, the middleware that each request passes, and the endpoints.</summary>
internal static class ChatApplication
{
    /// <summary>Adds the chat: all services, with the defaults of their settings.</summary>
    public static void AddChat(this WebApplicationBuilder builder)
    {
        Defaults.Add(builder, WebhookOptions.InDevelopment);
        ConfigureLogging(builder);
        Telemetry.Add(builder);
        builder.Services.AddSystemd(); // without systemd it does nothing
        var services = builder.Services;
        services.AddSingleton(TimeProvider.System);
        services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromSeconds(4));
        ChatOptions.Register(services);
        services.AddSingleton<Metrics>();
        services.AddSingleton<Traces>();
        services.AddSingleton<RefusalLog>();

        Listening.Register(services);
        Door.Register(services);
        BearerTokens.Register(services);

        services.AddSingleton(provider =>
        {
            var database = new Database(provider.GetRequiredService<IConfiguration>().GetConnectionString("Chat"));
            provider.GetRequiredService<Metrics>().ObserveFiles(database.Path);
            return database;
        });
        services.AddSingleton<IDatabase>(provider => provider.GetRequiredService<Database>());
        services.AddSingleton<IMessageReader, MessageReader>();
        services.AddSingleton<Writer>();
        services.AddHostedService(provider => provider.GetRequiredService<Writer>());
        services.AddHostedService<Retention>();
        services.AddSingleton<HealthProbe>();

        services.AddSingleton<UserShares>();
        services.AddSingleton(provider => PageRoom.For(Page.MaxText, provider.GetRequiredService<ChatOptions>()));
        services.AddSingleton(provider => new Connections(
            provider.GetRequiredService<ChatOptions>(), provider.GetRequiredService<Capacity>().Chat));
        services.AddSingleton<IAudience>(provider => new LocalAudience(
            provider.GetRequiredService<Connections>(), () => provider.GetRequiredService<Writer>().LastCommitted));
        services.AddSingleton<Chat>();

        HttpFront.Register(services);
        WebSocketEndpoint.Register(services);
        WebhookEndpoints.Register(services);
    }

    /// <summary>Serves the chat, and ends every connection at once when the server stops.</summary>
    public static void UseChat(this WebApplication app)
    {
        app.ServeChat();
        app.Lifetime.ApplicationStopping.Register(() =>
        {
            app.Services.GetRequiredService<Chat>().Stop();
            foreach (var connection in app.Services.GetRequiredService<Connections>().All)
                connection.End(ConnectionEnd.ShuttingDown);
        });
    }

    /// <summary>Adds the middleware, in the order in which requests pass it, and then the endpoints.</summary>
    public static void ServeChat(this WebApplication app)
    {
        var chat = app.Services.GetRequiredService<Chat>();
        var connections = app.Services.GetRequiredService<Connections>();
        chat.Writer.Recovered = chat.Audience.Recover;
        chat.Metrics.ObserveConnections(() => connections.Count);
        BearerTokens.CheckSettings(app.Services);
        app.Use(PrivateAnswers.Mark);
        app.UseForwardedHeaders();
        app.Use(Proxies.TrimPrefix);
        app.Use(app.Services.GetRequiredService<HostCheck>().Require);
        app.Use(OriginCheck.Require);
        app.Use(BatchedUpgrades.Use);
        app.UseWebSockets();
        app.UseRouting(); // WebSockets are served here: what follows does not stay in memory with them
        app.Use(TcpConnection.Watch);
        app.UseCors();
        app.UseExceptionHandler();
        app.UseStatusCodePages(status =>
            TypedResults.Problem(statusCode: status.HttpContext.Response.StatusCode).ExecuteAsync(status.HttpContext));
        app.Use(app.Services.GetRequiredService<Turns>().Take);
        WebClient.Serve(app);
        app.UseAuthentication();
        app.Use(CurrentUser.Identify);
        Map(app);
    }

    private static void Map(WebApplication app)
    {
        WebSocketEndpoint.Map(app);
        InboxEndpoints.Map(app);
        InboxPoll.Map(app);
        InboxStream.Map(app);
        WebhookEndpoints.Map(app);
        HealthEndpoints.Map(app);
        ApiDescription.Map(app);
        Telemetry.Map(app);
    }

    private static void ConfigureLogging(WebApplicationBuilder builder)
    {
        // The framework would log a request with its query, which may hold a token. And Program itself says in one line why a start failed.
        builder.Logging.AddFilter("Microsoft.AspNetCore.Hosting.Diagnostics", LogLevel.None);
        builder.Logging.AddFilter("Microsoft.Extensions.Hosting.Internal.Host", LogLevel.Critical);
        // A full pipe or a stopped terminal must not stop the server. Lines without room are left out and counted.
        builder.Services.Configure<ConsoleLoggerOptions>(console =>
        {
            console.QueueFullMode = ConsoleLoggerQueueFullMode.DropWrite;
            console.MaxQueueLength = 10_000;
        });
    }
}
