using System.Text.Json.Serialization;
using SimpleChat.Wire;

namespace SimpleChat.Http;

/// <summary>Registers what all HTTP endpoints share: the checks of a request, the JSON settings, and the form of refusals.</summary>
internal static class HttpFront
{
    public static void Register(IServiceCollection services)
    {
        services.AddSingleton<Turns>();
        Proxies.Register(services);
        HostCheck.Register(services);
        OriginCheck.Register(services);
        ApiDescription.Register(services);
        services.AddProblemDetails(problem => problem.CustomizeProblemDetails = context =>
            context.ProblemDetails.Detail ??= context.ProblemDetails.Status switch
            {
                StatusCodes.Status400BadRequest => "A parameter cannot be read; /openapi/v1.json describes them.",
                StatusCodes.Status415UnsupportedMediaType => Body.NotJson.Message, // routing has refused it
                _ => null,
            });
        services.Configure<RouteHandlerOptions>(routes => routes.ThrowOnBadRequest = false); // a caller's mistake throws nothing here
        services.ConfigureHttpJsonOptions(json =>
        {
            json.SerializerOptions.TypeInfoResolverChain.Insert(0, ChatJson.Default);
            json.SerializerOptions.NumberHandling = JsonNumberHandling.Strict; // numbers are numbers, and are described as such
        });
    }
}
