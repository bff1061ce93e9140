using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using SimpleChat.Storage;
using SimpleChat.Wire;

namespace SimpleChat.Webhooks;

/// <summary>
/// Makes the calls. A receiver may redirect, hang, answer without end or move to another address. None of that costs more than one call,
/// which its deadline ends.
/// </summary>
internal sealed class WebhookCaller : IDisposable
{
    /// <summary>
    /// What the user is told of every call without an answer. Only the log says why. So nobody can use calls to explore the server's
    /// network.
    /// </summary>
    private const string Unreachable = "It could not be reached.";

    private static readonly MediaTypeHeaderValue Json = new("application/json");
    private readonly WebhookOptions _options;
    private readonly TimeProvider _time;
    private readonly IServer _server;
    private readonly HttpMessageInvoker _http;

    public WebhookCaller(WebhookOptions options, TimeProvider time, IServer server)
    {
        _options = options;
        _time = time;
        _server = server;
        _http = new HttpMessageInvoker(new SocketsHttpHandler
        {
            AllowAutoRedirect = false, // it would lead to an address that was not checked
            UseProxy = false, // it would resolve the name itself
            UseCookies = false,
            ActivityHeadersPropagator = null,
            ConnectCallback = ConnectAsync,
            PooledConnectionLifetime = TimeSpan.FromMinutes(2), // after that the name is resolved again
            MaxResponseHeadersLength = 16, // KiB
            // Nobody reads an answer's body. A short one is read to its end, so that the connection can be used again. Beyond these limits
            // the connection is closed.
            MaxResponseDrainSize = 64 * 1024,
            ResponseDrainTimeout = TimeSpan.FromSeconds(2),
        });
    }

    /// <summary>
    /// Says why this URL may not be called; null if it may. Called when a webhook is registered. Every call checks besides the address to
    /// which it connects.
    /// </summary>
    public async Task<string?> ObjectionAsync(string? url, CancellationToken cancel)
    {
        if (_options.Objection(url) is { } objection)
            return objection;
        var uri = new Uri(url!);
        if (!OwnPorts.Contains(uri.Port))
            return null;
        try
        {
            var addresses = await ResolveAsync(uri.DnsSafeHost, cancel).WaitAsync(_options.Timeout, _time, cancel);
            return Array.Exists(addresses, IsOwn) ? "\"url\" leads to this server itself, which does not call itself." : null;
        }
        catch (Exception e) when (e is SocketException or ArgumentException or TimeoutException)
        {
            return null; // the calls will fail, and say why
        }
    }

    /// <summary>POSTs the message, as the frame that a WebSocket carries.</summary>
    /// <exception cref="OperationCanceledException"><paramref name="stop"/> was cancelled.</exception>
    public async Task<WebhookAnswer> CallAsync(WebhookRow webhook, Message message, CancellationToken stop)
    {
        if (_options.Objection(webhook.Url) is { } objection) // the configuration may have changed since the registration
            return new WebhookAnswer(objection);
        var id = string.Create(CultureInfo.InvariantCulture, $"msg_{message.Id}"); // of every attempt: the receiver can recognise a repeat
        var timestamp = _time.GetUtcNow().ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);
        var body = FrameWriter.BytesOf(message);
        using var request = new HttpRequestMessage(HttpMethod.Post, webhook.Url) { Content = new ByteArrayContent(body) };
        request.Content.Headers.ContentType = Json;
        request.Headers.UserAgent.Add(new ProductInfoHeaderValue("SimpleChat", null));
        request.Headers.Add("webhook-id", id);
        request.Headers.Add("webhook-timestamp", timestamp);
        request.Headers.Add("webhook-signature", WebhookSecret.Sign(webhook.Secret, id, timestamp, body));

        using var deadline = new CancellationTokenSource(_options.Timeout, _time);
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, stop);
        try
        {
            using var response = await _http.SendAsync(request, patience.Token);
            return WebhookAnswer.Of(response, _time.GetUtcNow());
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            return new WebhookAnswer($"It did not answer within {_options.Timeout.TotalSeconds.ToString(CultureInfo.InvariantCulture)} s.");
        }
        catch (HttpRequestException e)
        {
            // If the answer is not HTTP, the exception quotes its beginning, which must not be in the log.
            return new WebhookAnswer(Unreachable,
                e.HttpRequestError == HttpRequestError.InvalidResponse
                    ? "What came is not HTTP."
                    : (e.InnerException ?? e).Message.ReplaceLineEndings(" "));
        }
        catch (IOException e)
        {
            return new WebhookAnswer(Unreachable, e.Message.ReplaceLineEndings(" "));
        }
    }

    public void Dispose() => _http.Dispose();

    /// <summary>
    /// Resolves the name, and connects to one of its addresses that may be called. The name is not resolved again after the check.
    /// </summary>
    private async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancel)
    {
        var encrypted = context.InitialRequestMessage.RequestUri!.Scheme == Uri.UriSchemeHttps;
        var addresses = await ResolveAsync(context.DnsEndPoint.Host, cancel);
        if (OwnPorts.Contains(context.DnsEndPoint.Port) && Array.Exists(addresses, IsOwn))
            throw new IOException($"{context.DnsEndPoint.Host} is this server itself.");
        var allowed = Array.FindAll(addresses, address => _options.Allows(address, encrypted));
        if (allowed.Length == 0)
        {
            throw new IOException(encrypted
                ? $"{context.DnsEndPoint.Host} has no public address, and Webhooks:AllowedNetworks lists none of those it has."
                : $"Webhooks:AllowedNetworks lists no address of {context.DnsEndPoint.Host}, and plain http goes nowhere else.");
        }

        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(allowed, context.DnsEndPoint.Port, cancel);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static async Task<IPAddress[]> ResolveAsync(string host, CancellationToken cancel) =>
        IPAddress.TryParse(host, out var literal) ? [literal] : await Dns.GetHostAddressesAsync(host, cancel);

    private IEnumerable<int> OwnPorts =>
        _server.Features.Get<IServerAddressesFeature>()?.Addresses.Select(address => BindingAddress.Parse(address).Port) ?? [];

    /// <summary>Whether the address is one of this machine's. With one of this server's ports it counts as the server itself.</summary>
    private static bool IsOwn(IPAddress address)
    {
        var actual = address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
        return IPAddress.IsLoopback(actual)
            || actual.Equals(IPAddress.Any) || actual.Equals(IPAddress.IPv6Any) // connecting to "any" is connecting to oneself
            || NetworkInterface.GetAllNetworkInterfaces()
                .Any(card => card.GetIPProperties().UnicastAddresses.Any(own => own.Address.Equals(actual)));
    }
}
