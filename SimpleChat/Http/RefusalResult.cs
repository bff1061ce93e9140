using SimpleChat.Monitoring;
using SimpleChat.Storage;
using SimpleChat.Wire;

namespace SimpleChat.Http;

/// <summary>
/// Answers a refusal over HTTP: a ProblemDetails body (RFC 9457) with the contract's <c>code</c>. It has <c>Retry-After</c> if trying again
/// may help.
/// </summary>
/// <param name="user">The user, if <see cref="CurrentUser.Identify"/> did not set it; null if there is none.</param>
internal sealed partial class RefusalResult(Refusal error, string? user = null) : IResult
{
    public Task ExecuteAsync(HttpContext httpContext)
    {
        var request = httpContext.Request;
        var who = user ?? httpContext.Features.Get<CurrentUser>()?.Id ?? httpContext.Connection.RemoteIpAddress?.ToString() ?? "somebody";
        httpContext.RequestServices.GetRequiredService<RefusalLog>().Refused(error.Reason, who);
        Log.Refused(httpContext.RequestServices.GetRequiredService<ILogger<RefusalResult>>(),
            httpContext.Connection.RemoteIpAddress, request.Method, request.Path.ToUriComponent(), error.Status, error.Message);
        if (error.Status is StatusCodes.Status429TooManyRequests or StatusCodes.Status503ServiceUnavailable)
            httpContext.Response.Headers.RetryAfter = "1"; // seconds (RFC 9110, section 10.2.3)
        var extensions = error.Code is null ? null : new Dictionary<string, object?> { ["code"] = error.Code };
        return TypedResults.Problem(error.Message, statusCode: error.Status, extensions: extensions).ExecuteAsync(httpContext);
    }

    private static partial class Log
    {
        // The query is left out, because it may hold a token.
        [LoggerMessage(20, LogLevel.Debug, "{Address} was refused {Method} {Path}: {Status} {Reason}")]
        public static partial void Refused(
            ILogger log, System.Net.IPAddress? address, string method, string path, int status, string reason);
    }
}

/// <summary>Makes endpoints that read the database answer 503 while it cannot be read.</summary>
internal static class StorageFaults
{
    /// <summary>Answers 503 when an endpoint of the group throws a fault of storage.</summary>
    public static RouteGroupBuilder AnswersStorageFaults(this RouteGroupBuilder group) =>
        group.AddEndpointFilter(async (invocation, next) =>
        {
            try
            {
                return await next(invocation);
            }
            catch (Exception e) when (StorageFault.Is(e))
            {
                return new RefusalResult(Refusal.StorageUnreadable);
            }
        });
}
