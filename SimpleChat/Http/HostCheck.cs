using Microsoft.AspNetCore.HostFiltering;
using SimpleChat.Settings;
using SimpleChat.Wire;

namespace SimpleChat.Http;

/// <summary>
/// Answers only under the server's own names, from the setting <c>AllowedHosts</c>. Semicolons separate them; <c>*.example.org</c> allows
/// every name below it; unset or <c>*</c> allows any. Without this check a web page could give its own name the address of this machine
/// (DNS rebinding). Then <see cref="OriginCheck"/> would take it for the server's own. Unlike the framework's filter, this one comes after
/// <see cref="Proxies"/>, and its refusals are ProblemDetails.
/// </summary>
internal sealed class HostCheck
{
    private static readonly Refusal Foreign = new(null,
        "This server has another name. List this one in AllowedHosts if it should answer to it.")
    {
        Reason = "foreign_host",
    };

    private readonly IList<Microsoft.Extensions.Primitives.StringSegment>? _names;

    /// <param name="environment">In Development there must be names, because any caller may then be any user.</param>
    /// <exception cref="StartException">A value makes no sense.</exception>
    public HostCheck(IConfiguration configuration, IHostEnvironment environment)
    {
        var setting = configuration["AllowedHosts"] ?? "*";
        var names = setting.Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        if (names.Length == 0 || !names.All(IsPattern))
            throw new StartException(
                $"AllowedHosts is '{setting}'; expected names without a port, separated by semicolons, like example.org;*.example.org.");
        if (!names.Contains("*"))
            _names = [.. names];
        else if (environment.IsDevelopment())
            throw new StartException(
                "AllowedHosts has '*'. In Development anybody may be any user: name the hosts, or every web page could read all messages.");
    }

    /// <summary>Replaces the framework's filter, which then lets everything through.</summary>
    public static void Register(IServiceCollection services)
    {
        services.AddSingleton<HostCheck>();
        services.Configure<HostFilteringOptions>(filter => filter.AllowedHosts = ["*"]);
    }

    /// <summary>Middleware: lets a request through if it names this server. If names are listed, it has to name one of them.</summary>
    public Task Require(HttpContext context, RequestDelegate next) =>
        _names is null || context.Request.Host.HasValue && HostString.MatchesAny(context.Request.Host.Host, _names)
            ? next(context)
            : new RefusalResult(Foreign).ExecuteAsync(context);

    private static bool IsPattern(string name) =>
        name == "*"
        || Uri.CheckHostName(name.StartsWith("*.", StringComparison.Ordinal) ? name[2..] : name) != UriHostNameType.Unknown;
}
