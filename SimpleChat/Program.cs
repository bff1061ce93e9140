using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging.Console;
using SimpleChat;
using SimpleChat.ServerSentEvents;
using SimpleChat.Webhooks;

if (Capacity.FirstLook() is { } tooFew)
{
    Console.Error.WriteLine(tooFew);
    return 1;
}

var isStarted = false;
try
{
    var builder = WebApplication.CreateBuilder([.. Defaults.Arguments, .. args]);
    Defaults.Add(builder, WebhookOptions.InDevelopment);
    builder.WebHost.ConfigureKestrel(server => server.AddServerHeader = false);
    builder.Services.Configure<SocketTransportOptions>(sockets =>
    {
        // A finished write means that the operating system has the bytes: Kestrel keeps none of its own behind it (0 would be no limit).
        sockets.MaxWriteBufferSize = 1;
        sockets.CreateBoundListenSocket = ListenSocket.Create;
    });
    // A request's line is logged with its query, and a token may be in there; whoever starts the server reads the reason from the last line below.
    builder.Logging.AddFilter("Microsoft.AspNetCore.Hosting.Diagnostics", LogLevel.None);
    builder.Logging.AddFilter("Microsoft.Extensions.Hosting.Internal.Host", LogLevel.Critical);
    // Nobody waits for whoever takes the log, a full pipe or a stopped terminal: lines that find no room are left out, and counted in one that does.
    builder.Services.Configure<ConsoleLoggerOptions>(console =>
        (console.QueueFullMode, console.MaxQueueLength) = (ConsoleLoggerQueueFullMode.DropWrite, 10_000));

    ChatOptions.Register(builder.Services);
    BearerTokens.Register(builder.Services);
    Proxies.Register(builder.Services);
    HostCheck.Register(builder.Services);
    OriginCheck.Register(builder.Services);
    builder.Services.AddSingleton(TimeProvider.System);
    builder.Services.AddSingleton(services => new ChatDatabase(services.GetRequiredService<IConfiguration>().GetConnectionString("Chat")));
    builder.Services.AddSingleton<MessageStore>();
    builder.Services.AddSingleton<MessageWriter>();
    builder.Services.AddHostedService(services => services.GetRequiredService<MessageWriter>());
    builder.Services.AddHostedService<Retention>();
    Door.Register(builder.Services);
    builder.Services.AddSingleton<ConnectionRegistry>();
    builder.Services.AddSingleton<UserShares>();
    builder.Services.AddSingleton(services => PageRoom.For(services.GetRequiredService<ChatOptions>()));
    builder.Services.AddSingleton<ChatMetrics>();
    builder.Services.AddSingleton<RefusalLog>();
    builder.Services.AddSingleton<ChatService>();
    builder.Services.AddSingleton<HealthProbe>();
    WebhookEndpoints.Register(builder.Services);
    builder.Services.AddProblemDetails(problem => problem.CustomizeProblemDetails = context =>
        context.ProblemDetails.Detail ??= context.ProblemDetails.Status == StatusCodes.Status400BadRequest ? "A parameter cannot be read; /openapi/v1.json describes them." : null);
    builder.Services.Configure<RouteHandlerOptions>(routes => routes.ThrowOnBadRequest = false); // a caller's mistake is no exception of ours
    ApiDescription.Register(builder.Services);
    builder.Services.ConfigureHttpJsonOptions(json =>
    {
        json.SerializerOptions.TypeInfoResolverChain.Insert(0, ChatJson.Default);
        json.SerializerOptions.NumberHandling = System.Text.Json.Serialization.JsonNumberHandling.Strict; // numbers are numbers, and are described as such
    });
    builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromSeconds(4));
    // The framework looks at its clock four times in an interval: it may be half as long again before an unanswered ping is sent and seen to be one.
    builder.Services.AddOptions<WebSocketOptions>().Configure<ChatOptions>((socket, chat) =>
        (socket.KeepAliveInterval, socket.KeepAliveTimeout) = (0.6 * chat.KeepAliveInterval, chat.KeepAliveTimeout));
    builder.Services.AddOptions<Microsoft.AspNetCore.Server.Kestrel.Core.KestrelServerOptions>().Configure<ChatOptions>((server, chat) =>
        server.Limits.RequestHeadersTimeout = chat.MessageTimeout);

    await using var app = builder.Build();
    app.Services.GetRequiredService<ChatService>();
    BearerTokens.CheckSettings(app.Services);
    app.Use(PrivateAnswers.Mark);
    app.UseForwardedHeaders();
    app.Use(Proxies.TrimPrefix);
    app.Use(app.Services.GetRequiredService<HostCheck>().Require);
    app.Use(OriginCheck.Require);
    app.Use(OutgoingBatch.Use);
    app.UseWebSockets();
    app.UseRouting(); // the WebSocket branches off here: a connection that stays for days carries nothing of what follows
    app.Use(TcpConnection.Watch);
    app.UseCors();
    app.UseExceptionHandler();
    app.UseStatusCodePages(status => TypedResults.Problem(statusCode: status.HttpContext.Response.StatusCode).ExecuteAsync(status.HttpContext));
    WebClient.Serve(app);
    app.UseAuthentication();
    app.Use(CurrentUser.Identify);
    WebSocketEndpoint.Map(app);
    HttpEndpoints.Map(app);
    InboxStream.Map(app);
    WebhookEndpoints.Map(app);
    HealthEndpoints.Map(app);
    ApiDescription.Map(app);

    await app.StartAsync();
    isStarted = true;
    Greeting.Print(app);
    await app.WaitForShutdownAsync();
    return 0;
}
catch (OperationCanceledException) when (!isStarted) // asked to stop while it started
{
    return 0;
}
catch (Exception e) when (e is not HostAbortedException) // which whoever only wants the host built throws through here
{
    Console.Error.WriteLine(StartException.Explain(e, isStarted));
    return 1;
}

/// <summary>Public for <c>WebApplicationFactory&lt;Program&gt;</c>.</summary>
public partial class Program;
