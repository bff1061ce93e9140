using Microsoft.AspNetCore.Cors.Infrastructure;
using SimpleChat.Settings;
using SimpleChat.Wire;

namespace SimpleChat.Http;

/// <summary>
/// Keeps foreign web pages out. Browsers let any page open a WebSocket or post a form to any server. They say in <c>Origin</c> (RFC 6454)
/// which page it was. A request with a foreign origin is answered 403. Programs send no origin. A listed origin may use the whole chat,
/// also over HTTP (CORS).
/// </summary>
internal static class OriginCheck
{
    private static readonly Refusal Foreign = new(null,
        "This web page's origin may not use the chat. List it in Chat:AllowedOrigins if it should.", StatusCodes.Status403Forbidden)
    { Reason = "foreign_origin" };

    /// <summary>
    /// Tells browsers which origins are listed, so that they let those pages read the answers
    /// (https://fetch.spec.whatwg.org/#http-cors-protocol).
    /// </summary>
    public static void Register(IServiceCollection services)
    {
        services.AddCors();
        services.AddOptions<CorsOptions>().Configure<ChatOptions>((cors, chat) =>
            cors.AddDefaultPolicy(policy => policy.WithOrigins(chat.AllowedOrigins).AllowAnyHeader().AllowAnyMethod()));
    }

    /// <summary>Middleware: lets a request through if it has no origin, the server's own or a listed one.</summary>
    public static Task Require(HttpContext context, RequestDelegate next)
    {
        var origins = context.Request.Headers.Origin;
        if (origins.Count == 0)
            return next(context);
        var own = $"{context.Request.Scheme}://{context.Request.Host}";
        var allowed = context.RequestServices.GetRequiredService<ChatOptions>().AllowedOrigins;
        var origin = origins.ToString();
        return origin.Equals(own, StringComparison.OrdinalIgnoreCase) || allowed.Contains(origin, StringComparer.OrdinalIgnoreCase)
            ? next(context)
            : new RefusalResult(Foreign).ExecuteAsync(context);
    }
}
