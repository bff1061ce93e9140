namespace SimpleChat.Settings;

/// <summary>
/// The server's limits: section <c>Chat</c> of the configuration (<c>appsettings.json</c>, environment, command line).
/// Times are written as <c>hh:mm:ss</c>. A value that makes no sense stops the start.
/// </summary>
internal sealed class ChatOptions
{
    /// <summary>
    /// The largest WebSocket message or request body, in bytes. Also what one connection may cost in memory while a message is assembled.
    /// </summary>
    public int MaxMessageBytes { get; init; } = 64 * 1024;

    /// <summary>
    /// Messages that one user may send per second, over all connections and HTTP; bursts of twice that. A user's other work is limited in
    /// proportion. 0 is no limit of either: one user can then slow down the others.
    /// </summary>
    public int MessagesPerSecond { get; init; } = 100;

    /// <summary>Open connections of one user, of any kind: phones, laptops, tabs. One more is answered 429.</summary>
    public int ConnectionsPerUser { get; init; } = 16;

    /// <summary>
    /// Requests of one user under way at once: polls, streams and bodies that are still coming in too. One more is answered 429.
    /// </summary>
    public int RequestsPerUser { get; init; } = 64;

    /// <summary>Open connections in all. One more is answered 503.</summary>
    public int MaxConnections { get; init; } = 50_000;

    /// <summary>How long a connection may be silent before it is pinged (RFC 6455, section 5.5.2).</summary>
    public TimeSpan KeepAliveInterval { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>How long a pinged peer has to show that it is there, before it is dropped.</summary>
    public TimeSpan KeepAliveTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long a message or a request may take, from its first byte to its last.</summary>
    public TimeSpan MessageTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>A peer that takes nothing for so long is dropped. Pings cannot catch it: it may be talking all the while.</summary>
    public TimeSpan SendTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// Delivered messages that were sent longer ago than this are erased, in days; see <c>Retention</c>. 0 keeps everything.
    /// </summary>
    public int RetainDays { get; init; }

    /// <summary>Browser origins besides the server's own that may use the chat, such as <c>https://chat.example.org</c>.</summary>
    public string[] AllowedOrigins { get; init; } = [];

    /// <summary>Says what is wrong with the values, each complaint naming its key; empty if nothing is.</summary>
    public IEnumerable<string> Complaints()
    {
        if (MaxMessageBytes is < 256 or > 16 * 1024 * 1024)
            yield return $"Chat:MaxMessageBytes is {MaxMessageBytes}; it must be from 256 to {16 * 1024 * 1024}.";
        if (MessagesPerSecond is < 0 or > 1_000_000)
            yield return $"Chat:MessagesPerSecond is {MessagesPerSecond}; it must be from 0 (no limit) to 1000000.";
        if (RetainDays is < 0 or > 36_500)
            yield return $"Chat:RetainDays is {RetainDays}; it must be from 0 (everything is kept) to 36500.";
        if (ConnectionsPerUser < 1)
            yield return $"Chat:ConnectionsPerUser is {ConnectionsPerUser}; it must be at least 1.";
        if (RequestsPerUser < 1)
            yield return $"Chat:RequestsPerUser is {RequestsPerUser}; it must be at least 1.";
        if (MaxConnections < 1)
            yield return $"Chat:MaxConnections is {MaxConnections}; it must be at least 1.";
        foreach (var (key, value) in new[]
        {
            (nameof(KeepAliveInterval), KeepAliveInterval), (nameof(KeepAliveTimeout), KeepAliveTimeout),
            (nameof(MessageTimeout), MessageTimeout), (nameof(SendTimeout), SendTimeout),
        })
        {
            if (value < TimeSpan.FromMilliseconds(100) || value > TimeSpan.FromHours(1))
                yield return $"Chat:{key} is {value}; it must be from 00:00:00.1 to 01:00:00 (write 15 seconds as 00:00:15).";
        }

        foreach (var origin in AllowedOrigins)
        {
            if (!Uri.TryCreate(origin, UriKind.Absolute, out var uri) || uri.GetLeftPart(UriPartial.Authority) != origin)
                yield return $"Chat:AllowedOrigins has '{origin}'; " +
                    "an origin is a scheme, a host and perhaps a port, like https://chat.example.org.";
        }
    }

    public static void Register(IServiceCollection services) => Section.Register<ChatOptions>(services, "Chat", chat => chat.Complaints());
}
