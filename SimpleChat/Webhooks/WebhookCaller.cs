using System.Globalization;
using System.Net.Http.Headers;
using System.Net.Sockets;

namespace SimpleChat.Webhooks;

/// <summary>
/// Makes the calls. What the other side does (redirect, hang, answer without end, move to another address) costs one call and its deadline,
/// nothing more.
/// </summary>
internal sealed class WebhookCaller : IDisposable
{
    private static readonly MediaTypeHeaderValue Json = new("application/json");
    private readonly WebhookOptions _options;
    private readonly TimeProvider _time;
    private readonly HttpMessageInvoker _http;

    public WebhookCaller(WebhookOptions options, TimeProvider time)
    {
        (_options, _time) = (options, time);
        _http = new HttpMessageInvoker(new SocketsHttpHandler
        {
            AllowAutoRedirect = false, // another address than the one that was allowed
            UseProxy = false, // it would resolve the name itself
            UseCookies = false,
            ActivityHeadersPropagator = null,
            ConnectCallback = ConnectAsync,
            PooledConnectionLifetime = TimeSpan.FromMinutes(2), // then the name is resolved anew
            MaxResponseHeadersLength = 16, // KiB
            // Nobody reads an answer's body. It is drained up to these bounds, so that the connection can be used again, and cut beyond them.
            MaxResponseDrainSize = 64 * 1024,
            ResponseDrainTimeout = TimeSpan.FromSeconds(2),
        });
    }

    /// <summary>POSTs the message, as the frame that a WebSocket carries.</summary>
    /// <returns>null if it was answered 2xx; otherwise what went wrong, in words.</returns>
    /// <exception cref="OperationCanceledException"><paramref name="stop"/> was.</exception>
    public async Task<string?> CallAsync(Webhook webhook, Message message, CancellationToken stop)
    {
        if (_options.Objection(webhook.Url) is { } objection) // the configuration may have changed since it was registered
            return objection;
        var id = Webhook.Id(message);
        var timestamp = _time.GetUtcNow().ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);
        var body = FrameWriter.BytesOf(message);
        using var request = new HttpRequestMessage(HttpMethod.Post, webhook.Url) { Content = new ByteArrayContent(body) };
        request.Content.Headers.ContentType = Json;
        request.Headers.UserAgent.Add(new ProductInfoHeaderValue("SimpleChat", null));
        request.Headers.Add("webhook-id", id);
        request.Headers.Add("webhook-timestamp", timestamp);
        request.Headers.Add("webhook-signature", webhook.Sign(id, timestamp, body));

        using var deadline = new CancellationTokenSource(_options.Timeout, _time);
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, stop);
        try
        {
            using var response = await _http.SendAsync(request, patience.Token);
            return response.IsSuccessStatusCode ? null : $"It answered {(int)response.StatusCode}.";
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            return $"It did not answer within {_options.Timeout.TotalSeconds.ToString(CultureInfo.InvariantCulture)} s.";
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            return $"It could not be called: {(e.InnerException ?? e).Message.ReplaceLineEndings(" ")}";
        }
    }

    public void Dispose() => _http.Dispose();

    /// <summary>
    /// Resolves the name, and connects to an address that may be called: to that very one, whatever the name resolves to a moment later.
    /// </summary>
    private async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancel)
    {
        var encrypted = context.InitialRequestMessage.RequestUri!.Scheme == Uri.UriSchemeHttps;
        var addresses = await System.Net.Dns.GetHostAddressesAsync(context.DnsEndPoint.Host.Trim('[', ']'), cancel);
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
}
