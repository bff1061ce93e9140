using Microsoft.OpenApi;

namespace SimpleChat;

/// <summary>What <c>/openapi/v1.json</c> says beyond what the endpoints' own types do: who is asking, a position in a stream, and the refusals' <c>code</c>.</summary>
internal static class ApiDescription
{
    private const string Bearer = "bearer";

    /// <summary>Marks an endpoint that resumes after a message: where the client says after which one.</summary>
    /// <param name="Name">What the client calls it.</param>
    /// <param name="In">Whether that is in the query or in a header.</param>
    public sealed record Position(string Name, ParameterLocation In);

    public static void Register(IServiceCollection services) => services.AddOpenApi(api =>
    {
        api.AddDocumentTransformer((document, context, _) =>
        {
            document.Info = new OpenApiInfo { Title = "SimpleChat", Version = context.DocumentName, Description = "Every refusal is a ProblemDetails body (RFC 9457)." };
            document.AddComponent<IOpenApiSecurityScheme>(Bearer, new OpenApiSecurityScheme { Type = SecuritySchemeType.Http, Scheme = "bearer", BearerFormat = "JWT" });
            return Task.CompletedTask;
        });
        api.AddOperationTransformer((operation, context, _) =>
        {
            Describe(operation, context.Description.ActionDescriptor.EndpointMetadata, context.Document!, context.ApplicationServices.GetRequiredService<IHostEnvironment>());
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
        if (metadata.OfType<Position>().FirstOrDefault() is { } position)
            Add(position.Name, position.In, "Resumes after the message with this id: everything that the user sent or received since, then live.");
        var inQuery = metadata.OfType<CurrentUser.TokenInQuery>().Any();
        if (inQuery)
            Add("access_token", ParameterLocation.Query, "The JWT, where no Authorization header can be set.");
        if (!inQuery && !metadata.OfType<CurrentUser.Required>().Any())
            return;
        operation.Security = [new OpenApiSecurityRequirement { [new OpenApiSecuritySchemeReference(Bearer, document)] = [] }];
        if (environment.IsDevelopment())
            Add("user", ParameterLocation.Query, "Who is asking, taken on trust; in Development only.");

        void Add(string name, ParameterLocation where, string what) =>
            operation.Parameters.Add(new OpenApiParameter { Name = name, In = where, Description = what, Schema = Text(null) });
    }

    private static OpenApiSchema Text(string? what) => new() { Type = JsonSchemaType.String, Description = what };
}
