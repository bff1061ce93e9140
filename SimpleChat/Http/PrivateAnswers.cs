namespace SimpleChat.Http;

/// <summary>
/// Tells caches and browsers that an answer is only for the caller. No cache stores it (RFC 9111, section 5.2.2.5). No browser guesses
/// another type. No page of another origin embeds it (https://fetch.spec.whatwg.org/#cross-origin-resource-policy-header). Answers that are
/// the same for everybody call <see cref="Share"/>.
/// </summary>
internal static class PrivateAnswers
{
    /// <summary>Middleware: sets the headers. It is the outermost, so that errors have them too.</summary>
    public static Task Mark(HttpContext context, RequestDelegate next)
    {
        var headers = context.Response.Headers;
        headers.CacheControl = "no-store";
        headers.XContentTypeOptions = "nosniff";
        headers["Cross-Origin-Resource-Policy"] = "same-origin";
        return next(context);
    }

    /// <summary>
    /// Lets a cache store an answer that is the same for everybody. The cache must ask each time whether it is still valid.
    /// </summary>
    public static void Share(HttpContext context) => context.Response.Headers.CacheControl = "no-cache";
}
