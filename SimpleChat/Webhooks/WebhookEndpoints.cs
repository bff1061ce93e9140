using System.Text.Json;
using System.Text.Json.Serialization;

namespace SimpleChat.Webhooks;

/// <summary>A bot says where its messages are to be POSTed, and looks how that goes. Each user has one webhook at most.</summary>
internal static class WebhookEndpoints
{
    public static void Register(IServiceCollection services)
    {
        WebhookOptions.Register(services);
        services.AddSingleton<WebhookCaller>();
        services.AddSingleton<WebhookRegistry>();
        // After the writer, which opens the database and is stopped last.
        services.AddHostedService(provider => provider.GetRequiredService<WebhookRegistry>());
    }

    public static void Map(IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("/webhook").WithMetadata(new CurrentUser.Required())
            .ProducesProblem(StatusCodes.Status401Unauthorized).ProducesProblem(StatusCodes.Status403Forbidden).ProducesProblem(StatusCodes.Status503ServiceUnavailable);
        group.MapPut("", PutAsync).WithSummary("Has the user's messages POSTed to a URL, signed as Standard Webhooks says; replaces an earlier one.")
            .Accepts<WebhookRequest>("application/json")
            .Produces<WebhookBody>(StatusCodes.Status201Created).Produces<WebhookBody>()
            .ProducesProblem(StatusCodes.Status400BadRequest).ProducesProblem(StatusCodes.Status408RequestTimeout)
            .ProducesProblem(StatusCodes.Status413PayloadTooLarge)
            .ProducesProblem(StatusCodes.Status415UnsupportedMediaType);
        group.MapGet("", Get).WithSummary("Where the user's messages go, and why the last call failed, if it did.")
            .Produces<WebhookBody>().ProducesProblem(StatusCodes.Status404NotFound);
        group.MapDelete("", DeleteAsync).WithSummary("No more calls; undelivered messages stay in the inbox.")
            .Produces(StatusCodes.Status204NoContent);
    }

    private static async Task<IResult> PutAsync(
        HttpContext context, CurrentUser user, WebhookRegistry webhooks, MessageWriter writer, WebhookOptions options, ChatOptions limits, TimeProvider time)
    {
        var ((request, malformed), error) = await Body.ReadAsync(context, limits, time, Parse);
        if ((error ?? malformed) is { } wrong)
            return new Refusal(wrong);
        if (options.Objection(request?.Url) is { } objection)
            return new Refusal(new ChatError(null, objection));
        if (Webhook.Key(request!.Secret) is null)
            return new Refusal(MalformedSecret);

        var registration = new PendingRegistration(webhooks, user.Id, new Webhook(user.Id, request.Url!, request.Secret!));
        await writer.EnqueueAsync(registration);
        return await registration.Written is { } refusal
            ? new Refusal(refusal)
            : TypedResults.Json(new WebhookBody(request.Url!, null), WebhookJson.Default.WebhookBody,
                statusCode: registration.Replaced ? StatusCodes.Status200OK : StatusCodes.Status201Created);
    }

    private static IResult Get(CurrentUser user, WebhookRegistry webhooks) => webhooks.Of(user.Id) is { } webhook
        ? TypedResults.Json(new WebhookBody(webhook.Url, webhook.Failure), WebhookJson.Default.WebhookBody)
        : new Refusal(None);

    private static async Task<IResult> DeleteAsync(CurrentUser user, WebhookRegistry webhooks, MessageWriter writer)
    {
        var registration = new PendingRegistration(webhooks, user.Id, webhook: null);
        await writer.EnqueueAsync(registration);
        return await registration.Written is { } refusal ? new Refusal(refusal) : TypedResults.NoContent();
    }

    private static (WebhookRequest? Request, ChatError? Error) Parse(ReadOnlyMemory<byte> json)
    {
        try
        {
            return (JsonSerializer.Deserialize(json.Span, WebhookJson.Default.WebhookRequest), null);
        }
        catch (JsonException)
        {
            return (null, Malformed);
        }
    }

    private static readonly ChatError Malformed = ChatError.InvalidJson with
    {
        Message = """Expected one JSON object, like {"url":"https://bots.example.org/chat","secret":"whsec_…"}.""",
    };
    private static readonly ChatError MalformedSecret = new(null,
        $"\"secret\" must be whsec_ and the base64 of {Webhook.MinSecretBytes} to {Webhook.MaxSecretBytes} random bytes, like " +
        "whsec_$(openssl rand -base64 32).");
    private static readonly ChatError None = new(null, "You have no webhook. PUT one.", StatusCodes.Status404NotFound);
}

/// <summary>What is PUT. The secret is never shown again.</summary>
internal sealed record WebhookRequest(string? Url, string? Secret);

/// <summary>What is shown.</summary>
/// <param name="Url">Where messages are POSTed.</param>
/// <param name="Failure">Why the last call failed, in words; left out if it did not.</param>
internal sealed record WebhookBody(string Url, string? Failure = null);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(WebhookRequest))]
[JsonSerializable(typeof(WebhookBody))]
internal sealed partial class WebhookJson : JsonSerializerContext;
