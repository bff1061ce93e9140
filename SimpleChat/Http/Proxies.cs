using System.Net;
using Microsoft.AspNetCore.HttpOverrides;
using SimpleChat.Settings;
using IPNetwork = System.Net.IPNetwork;

namespace SimpleChat.Http;

/// <summary>
/// The proxies in front of the server, from section <c>ForwardedHeaders</c> of the configuration. The server believes what they say in
/// <c>X-Forwarded-For</c>, <c>-Proto</c>, <c>-Host</c> and <c>-Prefix</c>. It believes nobody else; without a list it believes nobody.
/// </summary>
internal sealed class Proxies
{
    /// <summary>Addresses, like <c>10.1.0.7</c> or <c>::1</c>.</summary>
    public string[] KnownProxies { get; init; } = [];

    /// <summary>Networks, like <c>10.1.0.0/16</c>.</summary>
    public string[] KnownIPNetworks { get; init; } = [];

    /// <summary>Says what is wrong with the values. Each complaint names its key; without complaints it is empty.</summary>
    public IEnumerable<string> Complaints()
    {
        foreach (var proxy in KnownProxies)
        {
            if (!IPAddress.TryParse(proxy, out _))
                yield return $"ForwardedHeaders:KnownProxies has '{proxy}'; expected an address like 10.1.0.7.";
        }

        foreach (var network in KnownIPNetworks)
        {
            if (!IPNetwork.TryParse(network, out _))
                yield return $"ForwardedHeaders:KnownIPNetworks has '{network}'; expected a network like 10.1.0.0/16.";
        }
    }

    /// <summary>Registers the section, and configures the framework's middleware with it.</summary>
    public static void Register(IServiceCollection services)
    {
        Section.Register<Proxies>(services, "ForwardedHeaders", proxies => proxies.Complaints());
        services.AddOptions<ForwardedHeadersOptions>() // after ASPNETCORE_FORWARDEDHEADERS_ENABLED, which believes everybody
            .PostConfigure<Proxies>((headers, proxies) => proxies.Configure(headers));
    }

    /// <summary>Middleware: removes the slash with which some proxies end the prefix.</summary>
    public static Task TrimPrefix(HttpContext context, RequestDelegate next)
    {
        if (context.Request.PathBase.Value is { } prefix && prefix.EndsWith('/'))
            context.Request.PathBase = prefix.TrimEnd('/');
        return next(context);
    }

    private void Configure(ForwardedHeadersOptions options)
    {
        options.KnownProxies.Clear(); // the default trusts loopback
        options.KnownIPNetworks.Clear();
        foreach (var proxy in KnownProxies)
            options.KnownProxies.Add(IPAddress.Parse(proxy));
        foreach (var network in KnownIPNetworks)
            options.KnownIPNetworks.Add(IPNetwork.Parse(network));
        // The middleware takes two empty lists for trust in everybody.
        options.ForwardedHeaders = KnownProxies.Length + KnownIPNetworks.Length == 0 ? ForwardedHeaders.None : ForwardedHeaders.All;
        options.ForwardLimit = null; // as many proxies in a row as are known
    }
}
