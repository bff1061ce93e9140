using Microsoft.Extensions.FileProviders;

namespace SimpleChat.Http;

/// <summary>
/// Serves the files in <c>wwwroot</c>, which are part of the program: the web client at <c>/</c>, and <c>/asyncapi.json</c>. That describes
/// the WebSocket and its frames (https://www.asyncapi.com/docs/reference/specification/v3.0.0). The client's page loads nothing from
/// another host, and runs only the scripts in these files. So what a user wrote cannot become a script (https://www.w3.org/TR/CSP3).
/// </summary>
internal static class WebClient
{
    private const string ContentSecurityPolicy =
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

    public static void Serve(IApplicationBuilder app)
    {
        var files = new EmbeddedFileProvider(typeof(WebClient).Assembly, "SimpleChat.wwwroot");
        app.UseDefaultFiles(new DefaultFilesOptions { FileProvider = files });
        app.UseStaticFiles(new StaticFileOptions
        {
            FileProvider = files,
            OnPrepareResponse = file => Protect(file.Context.Response.Headers),
        });
    }

    private static void Protect(IHeaderDictionary headers)
    {
        headers.ContentSecurityPolicy = ContentSecurityPolicy;
        headers["Cross-Origin-Opener-Policy"] = "same-origin"; // a window of another origin has no reference to this one
        headers["Permissions-Policy"] = "camera=(), microphone=(), geolocation=(), payment=(), usb=()"; // nothing here asks for them
        headers["Referrer-Policy"] = "no-referrer"; // the page's address says who the user is
        // A cache may store the files, but must ask each time. So a new server's page is never mixed with an old one's.
        headers.CacheControl = "no-cache";
    }
}
