using System.Net;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Options;
using SimpleChat.Monitoring;
using SimpleChat.Settings;
using SimpleChat.Storage;

namespace SimpleChat.ScaleOut.Roles;

/// <summary>
/// Listens for nodes, at an inner address: a Kestrel of its own, which speaks HTTP/2 and knows nothing but <see cref="ServiceCalls"/>. A
/// caller that does not know the secret is answered 401, before its body is read.
/// </summary>
internal sealed partial class ServiceListener : IHostedService, IHttpApplication<HttpContext>, IDisposable
{
    /// <summary>
    /// How long a service that stops sends nodes away before it closes their connections. A node has something to ask five times a second,
    /// so that by then all have gone to another service. What is asked on a connection that closes would not be known to be stored.
    /// </summary>
    private static readonly TimeSpan Goodbye = TimeSpan.FromMilliseconds(500);

    private readonly ScaleOutOptions _options;
    private readonly ServiceCalls _calls;
    private readonly RefusalLog _refusals;
    private readonly ILogger<ServiceListener> _log;
    private readonly byte[] _secret;
    private readonly KestrelServer _server;
    private volatile bool _isStopping;

    public ServiceListener(
        ScaleOutOptions options, ServiceCalls calls, IConfiguration configuration, RefusalLog refusals, IServiceProvider services,
        ILoggerFactory loggers)
    {
        (_options, _calls, _refusals, _log) = (options, calls, refusals, loggers.CreateLogger<ServiceListener>());
        _secret = Hash($"Bearer {options.Secret}");
        var kestrel = new KestrelServerOptions { ApplicationServices = services, AddServerHeader = false };
        kestrel.Limits.MaxRequestBodySize = InnerWire.MaxBody;
        kestrel.Configure(CertificatesOf(configuration));
        var url = new Uri(options.Listen!);
        kestrel.Listen(url.Host == "localhost" ? IPAddress.Loopback : IPAddress.Parse(url.DnsSafeHost), url.Port, listen =>
        {
            listen.Protocols = HttpProtocols.Http2;
            if (url.Scheme == Uri.UriSchemeHttps)
                listen.UseHttps();
        });
        _server = new KestrelServer(
            Options.Create(kestrel), new SocketTransportFactory(Options.Create(new SocketTransportOptions()), loggers), loggers);
    }

    /// <exception cref="StartException">It cannot listen there.</exception>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        try
        {
            await _server.StartAsync(this, cancellationToken);
        }
        catch (Exception e) when (e is IOException or InvalidOperationException or System.Net.Sockets.SocketException)
        {
            throw new StartException($"The service cannot listen at ScaleOut:Listen, which is {_options.Listen}: {e.Message}", e);
        }

        Log.Listens(_log, _options.Listen!);
    }

    /// <summary>Sends nodes away, and answers what they have asked, while the writer still writes.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        _isStopping = true;
        await Task.Delay(Goodbye, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _server.StopAsync(cancellationToken);
    }

    public void Dispose() => _server.Dispose();

    public HttpContext CreateContext(IFeatureCollection contextFeatures) => new DefaultHttpContext(contextFeatures);

    public void DisposeContext(HttpContext context, Exception? exception)
    {
    }

    public async Task ProcessRequestAsync(HttpContext context)
    {
        if (!CryptographicOperations.FixedTimeEquals(Hash(context.Request.Headers.Authorization.ToString()), _secret))
        {
            _refusals.Refused("wrong_secret", $"{context.Connection.RemoteIpAddress}");
            context.Response.StatusCode = StatusCodes.Status401Unauthorized;
        }
        else if (_isStopping)
        {
            context.Response.StatusCode = StatusCodes.Status410Gone;
        }
        else if (_calls.Find(context.Request.Path) is not { } call)
        {
            context.Response.StatusCode = StatusCodes.Status404NotFound;
        }
        else
        {
            await AnswerAsync(context, call);
        }
    }

    private async Task AnswerAsync(HttpContext context, Func<BinaryReader, BinaryWriter, ValueTask> call)
    {
        using var answer = new MemoryStream();
        try
        {
            using var ask = new MemoryStream();
            await context.Request.Body.CopyToAsync(ask, context.RequestAborted);
            ask.Position = 0;
            using var reader = new BinaryReader(ask, Encoding.UTF8);
            using var writer = new BinaryWriter(answer, Encoding.UTF8, leaveOpen: true);
            await call(reader, writer);
        }
        catch (Exception e) when (StorageFault.Is(e))
        {
            context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
            answer.SetLength(0);
            answer.Write(Encoding.UTF8.GetBytes(e is ServiceFault ? e.Message : PostgresFault.Explain(e)));
        }
        catch (Exception e) when (e is IOException or InvalidDataException or FormatException or OperationCanceledException)
        {
            Log.NotWhole(_log, context.Request.Path, e.Message);
            context.Response.StatusCode = StatusCodes.Status400BadRequest; // whoever has left does not read it
            return;
        }

        if (context.RequestAborted.IsCancellationRequested)
            return;
        context.Response.ContentLength = answer.Length;
        await context.Response.Body.WriteAsync(answer.GetBuffer().AsMemory(0, (int)answer.Length), context.RequestAborted);
    }

    /// <summary>The certificates of the public listener, and none of its addresses.</summary>
    private static IConfiguration CertificatesOf(IConfiguration configuration) => new ConfigurationBuilder()
        .AddInMemoryCollection(configuration.GetSection("Kestrel").AsEnumerable(makePathsRelative: true)
            .Where(setting => setting.Key.StartsWith("Certificates", StringComparison.OrdinalIgnoreCase)))
        .Build();

    private static byte[] Hash(string text) => SHA256.HashData(Encoding.UTF8.GetBytes(text));

    private static partial class Log
    {
        [LoggerMessage(48, LogLevel.Information, "Nodes reach this service at {Address}.")]
        public static partial void Listens(ILogger log, string address);

        [LoggerMessage(49, LogLevel.Warning, "A call to {Path} did not come whole, or makes no sense; nothing was done: {Reason}")]
        public static partial void NotWhole(ILogger log, string path, string reason);
    }
}
