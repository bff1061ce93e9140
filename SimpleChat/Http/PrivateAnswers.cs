namespace SimpleChat.Http;

/// <summary>
/// What every answer tells caches and browsers: it is for the one who asked. No cache keeps it (RFC 9111, section 5.2.2.5), no browser
/// guesses another type for it, no page of another origin embeds it (https://fetch.spec.whatwg.org/#cross-origin-resource-policy-header).
/// Files and descriptions for everybody say otherwise themselves.
/// </summary>
internal static class PrivateAnswers
{
    /// <summary>Middleware, the outermost: errors carry it too.</summary>
    public static Task Mark(HttpContext context, RequestDelegate next)
    {
        var headers = context.Response.Headers;
        headers.CacheControl = "no-store";
        headers.XContentTypeOptions = "nosniff";
        headers["Cross-Origin-Resource-Policy"] = "same-origin";
        return next(context);
    }

    /// <summary>For an answer that is the same for everybody: it may be kept, and must be asked about.</summary>
    public static void Share(HttpContext context) => context.Response.Headers.CacheControl = "no-cache";
}
