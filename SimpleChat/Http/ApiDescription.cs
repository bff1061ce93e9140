using Microsoft.AspNetCore.OpenApi;
using Microsoft.OpenApi;
using SimpleChat.Identity;

namespace SimpleChat.Http;

/// <summary>
/// Serves <c>/openapi/v1.json</c>. The endpoints' types describe most of it. This class adds how a caller says who it is, and the refusals'
/// <c>code</c>.
/// </summary>
internal static class ApiDescription
{
    /// <summary>Describes a parameter that is a <see cref="SimpleChat.Wire.Position"/>.</summary>
    public const string Position =
        "A position: the id of a message, or better 41@2026-11-24T11:02:03.123Z, its id, @ and its sentAt, " +
        "which proves that the message is of this database. " +
        "The answer starts with what the user sent or received after it. " +
        "409 unknown_position if there is no such message; 0 is the very beginning.";

    private const string Bearer = "bearer";

    /// <summary>Declares the refusals of an endpoint, or of a group. Each is a ProblemDetails body.</summary>
    public static T Refuses<T>(this T endpoint, params ReadOnlySpan<int> statuses)
        where T : IEndpointConventionBuilder
    {
        foreach (var status in statuses)
            endpoint.ProducesProblem(status);
        return endpoint;
    }

    /// <summary>
    /// Declares the refusals of every endpoint that needs an identity. They are a bad parameter or id, no identity, a foreign origin, too
    /// much at once, and storage.
    /// </summary>
    public static T RefusesLikeAnyOther<T>(this T endpoint)
        where T : IEndpointConventionBuilder => endpoint.Refuses(
            StatusCodes.Status400BadRequest, StatusCodes.Status401Unauthorized, StatusCodes.Status403Forbidden,
            StatusCodes.Status429TooManyRequests, StatusCodes.Status503ServiceUnavailable);

    /// <summary>Declares the refusals of an endpoint that reads a body: too slow, too big, or not JSON.</summary>
    public static T RefusesBodies<T>(this T endpoint)
        where T : IEndpointConventionBuilder => endpoint.Refuses(
            StatusCodes.Status408RequestTimeout, StatusCodes.Status413PayloadTooLarge, StatusCodes.Status415UnsupportedMediaType);

    /// <summary>
    /// Serves the description. It is the same for everybody, so it is written once. Strangers may ask for it as often as they like.
    /// </summary>
    public static void Map(IEndpointRouteBuilder routes)
    {
        // On a thread of its own, because it takes a second. On the thread pool, requests would wait until the pool grows.
        var description = new Lazy<Task<byte[]>>(() => Task.Factory.StartNew(
            () => WriteAsync(routes.ServiceProvider), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)
            .Unwrap());
        routes.MapGet("/openapi/v1.json", async context =>
        {
            PrivateAnswers.Share(context);
            await TypedResults.Bytes(await description.Value, "application/json; charset=utf-8").ExecuteAsync(context);
        }).ExcludeFromDescription();
    }

    private static async Task<byte[]> WriteAsync(IServiceProvider services)
    {
        var document = await services.GetRequiredKeyedService<IOpenApiDocumentProvider>("v1").GetOpenApiDocumentAsync();
        document.Servers = [new OpenApiServer { Url = ".." }]; // from wherever the reader has it, a proxy's path before it included
        using var stream = new MemoryStream();
        await document.SerializeAsJsonAsync(stream, OpenApiSpecVersion.OpenApi3_1);
        return stream.ToArray();
    }

    public static void Register(IServiceCollection services) => services.AddOpenApi(api =>
    {
        api.AddDocumentTransformer((document, context, _) =>
        {
            document.Info = new OpenApiInfo
            {
                Title = "SimpleChat",
                Version = context.DocumentName,
                Description = "Every refusal is a ProblemDetails body (RFC 9457).",
            };
            document.AddComponent<IOpenApiSecurityScheme>(Bearer,
                new OpenApiSecurityScheme { Type = SecuritySchemeType.Http, Scheme = "bearer", BearerFormat = "JWT" });
            return Task.CompletedTask;
        });
        api.AddOperationTransformer((operation, context, _) =>
        {
            Describe(operation, context.Description.ActionDescriptor.EndpointMetadata, context.Document!,
                context.ApplicationServices.GetRequiredService<IHostEnvironment>());
            return Task.CompletedTask;
        });
        api.AddSchemaTransformer((schema, context, _) =>
        {
            if (context.JsonTypeInfo.Type == typeof(Microsoft.AspNetCore.Mvc.ProblemDetails))
                schema.Properties!["code"] = Text("Which refusal it is, for programs; left out where there is no word for it.");
            return Task.CompletedTask;
        });
    });

    private static void Describe(OpenApiOperation operation, IList<object> metadata, OpenApiDocument document, IHostEnvironment environment)
    {
        operation.Parameters ??= [];
        var inQuery = metadata.OfType<TokenInQuery>().Any();
        if (inQuery)
            Add("access_token", "The JWT, where no Authorization header can be set.");
        if (!inQuery && !metadata.OfType<CurrentUser.Required>().Any())
            return;
        operation.Security = [new OpenApiSecurityRequirement { [new OpenApiSecuritySchemeReference(Bearer, document)] = [] }];
        if (environment.IsDevelopment())
            Add("user", "Who is asking, taken on trust; in Development only.");

        void Add(string name, string what) => operation.Parameters.Add(
            new OpenApiParameter { Name = name, In = ParameterLocation.Query, Description = what, Schema = Text(null) });
    }

    private static OpenApiSchema Text(string? what) => new() { Type = JsonSchemaType.String, Description = what };
}
