using System.Net;
using System.Net.Sockets;

namespace SimpleChat.Webhooks;

/// <summary>
/// Says which hosts the server may call, and how patient it is: section <c>Webhooks</c> of the configuration. Whoever registers a webhook
/// makes this server send requests inside its own network. So only listed hosts are allowed.
/// </summary>
internal sealed class WebhookOptions
{
    /// <summary>
    /// Hosts that may be called: <c>bots.example.org</c>, or <c>*.example.org</c> for every name below it. If it is empty, there are no
    /// webhooks.
    /// </summary>
    public string[] AllowedHosts { get; init; } = [];

    /// <summary>
    /// Addresses outside the public Internet that such a name may resolve to, like <c>10.1.0.0/16</c>. Plain http goes only there.
    /// </summary>
    public string[] AllowedNetworks { get; init; } = [];

    /// <summary>The time for a call, from connecting to the answer's status line.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>The pause after a first failure. It doubles with every further one. Up to half of it is left out, at random.</summary>
    public TimeSpan FirstRetry { get; init; } = TimeSpan.FromSeconds(1);

    public TimeSpan LongestRetry { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>
    /// A message that fails for this long is skipped, so that the next ones get their turn. The example schedule of Standard Webhooks takes
    /// as long.
    /// </summary>
    public TimeSpan GiveUpAfter { get; init; } = TimeSpan.FromDays(3);

    /// <summary>
    /// Addresses that are not part of the public Internet, or may lead out of it
    /// (https://www.iana.org/assignments/iana-ipv4-special-registry). Of IPv6 only 2000::/3 is public.
    /// </summary>
    private static readonly IPNetwork[] Special = Array.ConvertAll(
        [
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
            "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",
            "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
        ], IPNetwork.Parse);

    private static readonly IPNetwork PublicIpv6 = IPNetwork.Parse("2000::/3");

    private const int MaxUrlLength = 2048;

    /// <summary>Says why this URL may not be called; null if it may.</summary>
    public string? Objection(string? url)
    {
        if (url is not { Length: <= MaxUrlLength } || !Uri.TryCreate(url, UriKind.Absolute, out var uri)
            || uri.Scheme is not ("https" or "http"))
            return $"\"url\" must be an http or https URL of at most {MaxUrlLength} characters.";
        if (uri.UserInfo.Length > 0)
            return "\"url\" must not carry a user name or password; the signature says who calls.";
        return Array.Exists(AllowedHosts, pattern => Matches(pattern, uri.IdnHost))
            ? null
            : $"This server may not call {uri.IdnHost}. Its operator can list it in Webhooks:AllowedHosts.";
    }

    /// <summary>Whether the server may connect to this address. Called after the name is resolved, with the address that is used.</summary>
    public bool Allows(IPAddress address, bool encrypted)
    {
        var actual = address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
        if (Array.Exists(AllowedNetworks, network => IPNetwork.Parse(network).Contains(actual)))
            return true;
        return encrypted && !Array.Exists(Special, network => network.Contains(actual))
            && (actual.AddressFamily == AddressFamily.InterNetwork || PublicIpv6.Contains(actual));
    }

    /// <summary>Says what is wrong with the values. Each complaint names its key; without complaints it is empty.</summary>
    public IEnumerable<string> Complaints()
    {
        foreach (var host in AllowedHosts)
        {
            var name = host.StartsWith("*.", StringComparison.Ordinal) ? host[2..] : host.Trim('[', ']');
            if (Uri.CheckHostName(name) == UriHostNameType.Unknown)
                yield return $"Webhooks:AllowedHosts has '{host}'; expected a host name like bots.example.org or *.example.org.";
        }

        foreach (var network in AllowedNetworks)
        {
            if (!IPNetwork.TryParse(network, out _))
                yield return $"Webhooks:AllowedNetworks has '{network}'; expected a network like 10.1.0.0/16.";
        }

        foreach (var (key, value, most) in new[]
        {
            (nameof(Timeout), Timeout, TimeSpan.FromDays(1)), (nameof(FirstRetry), FirstRetry, TimeSpan.FromDays(1)),
            (nameof(LongestRetry), LongestRetry, TimeSpan.FromDays(1)), (nameof(GiveUpAfter), GiveUpAfter, TimeSpan.FromDays(30)),
        })
        {
            if (value < TimeSpan.FromMilliseconds(10) || value > most)
                yield return $"Webhooks:{key} is {value}; it must be from 00:00:00.01 to {most} (write 10 seconds as 00:00:10).";
        }
    }

    /// <summary>The defaults in Development: webhooks may call this machine and nothing else.</summary>
    public static IReadOnlyDictionary<string, string?> InDevelopment { get; } = new Dictionary<string, string?>
    {
        ["Webhooks:AllowedHosts:0"] = "localhost",
        ["Webhooks:AllowedHosts:1"] = "127.0.0.1",
        ["Webhooks:AllowedHosts:2"] = "[::1]",
        ["Webhooks:AllowedNetworks:0"] = "127.0.0.0/8",
        ["Webhooks:AllowedNetworks:1"] = "::1/128",
    };

    private static bool Matches(string pattern, string host) => pattern.StartsWith("*.", StringComparison.Ordinal)
        ? host.EndsWith(pattern[1..], StringComparison.OrdinalIgnoreCase)
        : host.Equals(pattern.Trim('[', ']'), StringComparison.OrdinalIgnoreCase);
}
