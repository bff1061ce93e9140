using Microsoft.AspNetCore.Http.HttpResults;
using SimpleChat.Storage;
using SimpleChat.Wire;

namespace SimpleChat.Http;

/// <summary>Tells a monitor whether the server answers, and whether it can store and read. No identity is needed.</summary>
internal static class HealthEndpoints
{
    /// <summary>Some monitors use HEAD, which has no body.</summary>
    private static readonly string[] ReadingMethods = [HttpMethods.Get, HttpMethods.Head];

    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapMethods("/alive", ReadingMethods, Alive)
            .WithSummary("The process answers, and takes connections.").Produces<HealthBody>()
            .Refuses(StatusCodes.Status400BadRequest, StatusCodes.Status403Forbidden, StatusCodes.Status503ServiceUnavailable);
        routes.MapMethods("/health", ReadingMethods, HealthAsync)
            .WithSummary("A message could be stored and read within the last second.").Produces<HealthBody>()
            .Refuses(StatusCodes.Status400BadRequest, StatusCodes.Status403Forbidden, StatusCodes.Status503ServiceUnavailable);
    }

    private static IResult Alive(HttpContext context, IHostApplicationLifetime lifetime)
    {
        PrivateAnswers.Share(context);
        return lifetime.ApplicationStopping.IsCancellationRequested ? new RefusalResult(Refusal.ServerStopping) : Is("alive");
    }

    private static async Task<IResult> HealthAsync(HttpContext context, HealthProbe probe)
    {
        PrivateAnswers.Share(context);
        return await probe.FaultAsync() is { } fault
            ? new RefusalResult(Refusal.StorageUnavailable with { Message = $"Messages cannot be stored: {fault}" })
            : Is("healthy");
    }

    private static JsonHttpResult<HealthBody> Is(string status) => TypedResults.Json(new HealthBody(status), ChatJson.Wire.HealthBody);
}
