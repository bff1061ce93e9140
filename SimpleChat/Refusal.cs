namespace SimpleChat;

/// <summary>A refusal over HTTP: a ProblemDetails body (RFC 9457) with the contract's <c>code</c>, and <c>Retry-After</c> where trying again may help.</summary>
internal sealed class Refusal(ChatError error) : IResult
{
    public Task ExecuteAsync(HttpContext httpContext)
    {
        if (error.Status is StatusCodes.Status429TooManyRequests or StatusCodes.Status503ServiceUnavailable)
            httpContext.Response.Headers.RetryAfter = "1"; // seconds (RFC 9110, section 10.2.3)
        var extensions = error.Code is null ? null : new Dictionary<string, object?> { ["code"] = error.Code };
        return TypedResults.Problem(error.Message, statusCode: error.Status, extensions: extensions).ExecuteAsync(httpContext);
    }
}
