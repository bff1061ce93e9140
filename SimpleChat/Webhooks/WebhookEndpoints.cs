using System.Text.Json;
using System.Text.Json.Serialization;
using SimpleChat.Http;
using SimpleChat.Settings;
using SimpleChat.Storage;
using SimpleChat.Wire;

namespace SimpleChat.Webhooks;

/// <summary>Lets a user register, inspect and delete a webhook. Each user has at most one.</summary>
internal static class WebhookEndpoints
{
    public static void Register(IServiceCollection services)
    {
        Section.Register<WebhookOptions>(services, "Webhooks", webhooks => webhooks.Complaints());
        services.AddSingleton<WebhookCaller>();
        services.AddSingleton<WebhookTurn>(stop => Task.CompletedTask);
        services.AddSingleton<WebhookRegistry>();
        // Registered after the writer, which opens the database first and stops last.
        services.AddHostedService(provider => provider.GetRequiredService<WebhookRegistry>());
    }

    public static void Map(IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("/webhook").WithMetadata(new CurrentUser.Required()).RefusesLikeAnyOther().AnswersStorageFaults();
        group.MapPut("", PutAsync)
            .WithSummary("Has the user's messages POSTed to a URL, signed as Standard Webhooks says; replaces an earlier one.")
            .Accepts<WebhookRequest>("application/json")
            .Produces<WebhookBody>(StatusCodes.Status201Created).Produces<WebhookBody>()
            .RefusesBodies();
        group.MapGet("", GetAsync).WithSummary("Where the user's messages go, why the last call failed, if it did, and what was not taken.")
            .Produces<WebhookBody>().ProducesProblem(StatusCodes.Status404NotFound);
        group.MapDelete("", DeleteAsync).WithSummary("No more calls; undelivered messages stay in the inbox.")
            .Produces(StatusCodes.Status204NoContent);
    }

    private static async Task<IResult> PutAsync(
        HttpContext context, CurrentUser user, WebhookRegistry webhooks, WebhookCaller caller, ChatOptions limits, TimeProvider time)
    {
        var ((request, malformed), error) = await Body.ReadAsync(context, user.Share, limits, time, Parse);
        if ((error ?? malformed) is { } wrong)
            return new RefusalResult(wrong);
        if (await caller.ObjectionAsync(request?.Url, context.RequestAborted) is { } objection)
            return new RefusalResult(new Refusal(null, objection));
        if (WebhookSecret.Key(request!.Secret) is null)
            return new RefusalResult(MalformedSecret);

        (error, var replaced) = await webhooks.PutAsync(new WebhookRow(user.Id, request.Url!, request.Secret!), user.Share);
        return error is null
            ? TypedResults.Json(new WebhookBody(request.Url!), WebhookJson.Default.WebhookBody,
                statusCode: replaced ? StatusCodes.Status200OK : StatusCodes.Status201Created)
            : new RefusalResult(error);
    }

    private static async Task<IResult> GetAsync(CurrentUser user, WebhookRegistry webhooks)
    {
        if (webhooks.Of(user.Id) is not { } line)
            return new RefusalResult(None);
        var (count, oldestId) = await webhooks.DeadLettersAsync(line);
        return TypedResults.Json(
            new WebhookBody(line.Webhook.Url, line.Failure, count == 0 ? null : new DeadLettersBody(count, oldestId, WhatToDo)),
            WebhookJson.Default.WebhookBody);
    }

    private static async Task<IResult> DeleteAsync(CurrentUser user, WebhookRegistry webhooks) =>
        await webhooks.DeleteAsync(user.Share) is { } error ? new RefusalResult(error) : TypedResults.NoContent();

    private static (WebhookRequest? Request, Refusal? Error) Parse(ReadOnlyMemory<byte> json)
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

    private static readonly Refusal Malformed = Refusal.InvalidJson with
    {
        Message = """Expected one JSON object, like {"url":"https://bots.example.org/chat","secret":"whsec_…"}.""",
    };
    private static readonly Refusal MalformedSecret = new(null,
        $"\"secret\" must be whsec_ and the base64 of {WebhookSecret.MinBytes} to {WebhookSecret.MaxBytes} random bytes, like " +
        "whsec_$(openssl rand -base64 32).");
    private const string WhatToDo =
        "The webhook did not take these messages, and later ones went on without them. They are in your inbox: " +
        "acknowledge them, or PUT the webhook again to have them tried again.";
    private static readonly Refusal None = new(null, "You have no webhook. PUT one.", StatusCodes.Status404NotFound);
}

/// <summary>The body of a PUT. The secret is never shown again.</summary>
internal sealed record WebhookRequest(string? Url, string? Secret);

/// <summary>The body of an answer.</summary>
/// <param name="Failure">Why the last call failed, in words; left out if it succeeded.</param>
/// <param name="DeadLetters">The messages that were not taken; left out if there are none.</param>
internal sealed record WebhookBody(string Url, string? Failure = null, DeadLettersBody? DeadLetters = null);

/// <summary>The messages that the webhook did not take, and that the server does not try again by itself.</summary>
/// <param name="WhatToDo">Says where the messages are, and what the user can do.</param>
internal sealed record DeadLettersBody(long Count, long OldestId, string WhatToDo);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(WebhookRequest))]
[JsonSerializable(typeof(WebhookBody))]
internal sealed partial class WebhookJson : JsonSerializerContext;
