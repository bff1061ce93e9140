using System.Text;

namespace SimpleChat.Tests;

/// <summary>A WebSocket handshake over HTTP/1.1, proper unless told otherwise; what is null is left out.</summary>
internal sealed record Handshake
{
    /// <summary>The example of RFC 6455, section 1.3.</summary>
    public const string ExampleKey = "dGhlIHNhbXBsZSBub25jZQ==";

    public string Method { get; init; } = "GET";

    public string Target { get; init; } = "/chat?user=alice";

    public string Http { get; init; } = "HTTP/1.1";

    public string? Upgrade { get; init; } = "websocket";

    public string? Connection { get; init; } = "Upgrade";

    public string? Key { get; init; } = ExampleKey;

    public string? Version { get; init; } = "13";

    public string? Origin { get; init; }

    /// <summary>One header line each.</summary>
    public string[] Protocols { get; init; } = [];

    /// <summary>The request, for this host.</summary>
    public string For(Uri url)
    {
        var request = new StringBuilder($"{Method} {Target} {Http}\r\nHost: {url.Authority}\r\n");
        Add(nameof(Upgrade), Upgrade);
        Add(nameof(Connection), Connection);
        Add("Sec-WebSocket-Key", Key);
        Add("Sec-WebSocket-Version", Version);
        Add(nameof(Origin), Origin);
        foreach (var protocol in Protocols)
            Add("Sec-WebSocket-Protocol", protocol);
        if (Method is not "GET")
            Add("Content-Length", "0");
        return request.Append("\r\n").ToString();

        void Add(string name, string? value)
        {
            if (value is not null)
                request.Append(name).Append(": ").Append(value).Append("\r\n");
        }
    }
}
