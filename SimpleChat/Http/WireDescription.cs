using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Schema;
using System.Text.Json.Serialization.Metadata;
using SimpleChat.Wire;

namespace SimpleChat.Http;

/// <summary>
/// Serves <c>/asyncapi.json</c>: the WebSocket and its frames (https://www.asyncapi.com/docs/reference/specification/v3.0.0). The frames'
/// schemas are made of the records in <see cref="Wire"/>. <see cref="ApiDescription"/> describes the rest.
/// </summary>
internal static class WireDescription
{
    private static readonly (string Type, Type Shape, string Meaning)[] FromClient =
    [
        ("send", typeof(SendBody), "Sends a message. Its type may be left out."),
        ("ack", typeof(AckBody), "The client has these messages: they leave the inbox, and their senders are told."),
        ("ping", typeof(EmptyFrame), "Asks for a pong."),
    ];

    private static readonly (string Type, Type Shape, string Meaning)[] FromServer =
    [
        ("connected", typeof(ConnectedFrame), "Always the first frame: from now on every message to the user reaches this connection."),
        ("sent", typeof(SentFrame), "The message and its inbox row are on disk."),
        ("message", typeof(MessageBody), "A message to the user, or one that the user sent from elsewhere. Ids only rise."),
        ("delivered", typeof(DeliveredFrame), "A message that the user sent has left its recipient's inbox."),
        ("error", typeof(ErrorFrame), "Answers one frame; the connection stays open."),
        ("pong", typeof(EmptyFrame), "Answers a ping."),
    ];

    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        TypeInfoResolver = new DefaultJsonTypeInfoResolver(),
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
        NumberHandling = System.Text.Json.Serialization.JsonNumberHandling.Strict,
    };

    public static void Map(IEndpointRouteBuilder routes)
    {
        var description = new Lazy<byte[]>(() => JsonSerializer.SerializeToUtf8Bytes(Describe(), Json));
        routes.MapGet("/asyncapi.json", context =>
        {
            PrivateAnswers.Share(context);
            return TypedResults.Bytes(description.Value, "application/json; charset=utf-8").ExecuteAsync(context);
        }).ExcludeFromDescription();
    }

    public static JsonObject Describe() => new()
    {
        ["asyncapi"] = "3.0.0",
        ["info"] = new JsonObject
        {
            ["title"] = "SimpleChat",
            ["version"] = "v1",
            ["description"] = "One text message holds one JSON object. Unknown properties are ignored, and may be added.",
        },
        ["servers"] = new JsonObject
        {
            ["chat"] = new JsonObject
            {
                ["host"] = "localhost:5080",
                ["protocol"] = "ws",
                ["description"] = "Where dotnet run serves it. Elsewhere it is wss, under the name and path that its operator gives.",
            },
        },
        ["defaultContentType"] = "application/json",
        ["channels"] = new JsonObject { ["chat"] = Channel() },
        ["operations"] = new JsonObject
        {
            ["fromClient"] = Operation("receive", FromClient, "What a client sends."),
            ["fromServer"] = Operation("send", FromServer, "What the server sends."),
        },
        ["components"] = new JsonObject
        {
            ["messages"] = new JsonObject([.. FromClient.Concat(FromServer).Select(Message)]),
            ["securitySchemes"] = new JsonObject
            {
                ["bearer"] = new JsonObject
                {
                    ["type"] = "http",
                    ["scheme"] = "bearer",
                    ["bearerFormat"] = "JWT",
                    ["description"] = "Its sub is the user. In Development ?user=alice will do.",
                },
            },
        },
    };

    private static JsonObject Channel() => new()
    {
        ["address"] = "/chat",
        ["description"] = "GET with an upgrade. Subprotocol chat: a message is delivered once written; chat.ack: once acknowledged.",
        ["messages"] = new JsonObject([.. FromClient.Concat(FromServer).Select(frame =>
            KeyValuePair.Create<string, JsonNode?>(frame.Type, Reference($"#/components/messages/{frame.Type}")))]),
        ["bindings"] = new JsonObject
        {
            ["ws"] = new JsonObject
            {
                ["method"] = "GET",
                ["query"] = new JsonObject
                {
                    ["type"] = "object",
                    ["properties"] = new JsonObject
                    {
                        ["after"] = Text("A position, such as 41@2026-11-24T11:02:03.123Z: everything after it comes first."),
                        ["access_token"] = Text("The JWT, where no Authorization header can be set."),
                        ["user"] = Text("Who is asking, taken on trust; in Development only."),
                    },
                },
            },
        },
    };

    private static JsonObject Operation(string action, (string Type, Type, string)[] frames, string summary) => new()
    {
        ["action"] = action,
        ["summary"] = summary,
        ["channel"] = Reference("#/channels/chat"),
        ["messages"] = new JsonArray([.. frames.Select(frame => Reference($"#/channels/chat/messages/{frame.Type}"))]),
        ["security"] = new JsonArray(Reference("#/components/securitySchemes/bearer")),
    };

    private static KeyValuePair<string, JsonNode?> Message((string Type, Type Shape, string Meaning) frame)
    {
        var payload = (JsonObject)Json.GetJsonSchemaAsNode(
            frame.Shape, new JsonSchemaExporterOptions { TreatNullObliviousAsNonNullable = true, TransformSchemaNode = Refine });
        if (payload["properties"] is not JsonObject properties)
            payload["properties"] = properties = [];
        properties.Insert(0, "type", new JsonObject { ["type"] = "string", ["const"] = frame.Type });
        if (frame.Type != "send")
        {
            if (payload["required"] is not JsonArray required)
                payload["required"] = required = [];
            required.Insert(0, "type");
        }

        return new(frame.Type, new JsonObject { ["name"] = frame.Type, ["summary"] = frame.Meaning, ["payload"] = payload });
    }

    /// <summary>Adds what the attributes of a property say. What has no value is left out on the wire, so nothing is null.</summary>
    private static JsonNode Refine(JsonSchemaExporterContext context, JsonNode schema)
    {
        if (schema is not JsonObject json || context.PropertyInfo?.AttributeProvider is not { } property)
            return schema;
        if (json["type"] is JsonArray types)
            json["type"] = types.First(type => (string?)type != "null")!.DeepClone();
        json.Remove("default");
        foreach (var attribute in property.GetCustomAttributes(inherit: true))
        {
            _ = attribute switch
            {
                DescriptionAttribute it => json["description"] = it.Description,
                RegularExpressionAttribute it => json["pattern"] = it.Pattern,
                AllowedValuesAttribute it => json["enum"] = new JsonArray([.. it.Values.Select(value => JsonValue.Create((string?)value))]),
                MinLengthAttribute it => json["minLength"] = it.Length,
                MaxLengthAttribute it => json[(string?)json["type"] == "array" ? "maxItems" : "maxLength"] = it.Length,
                RangeAttribute it => (json["minimum"], json["maximum"]) = ((long)(double)it.Minimum, (long)(double)it.Maximum),
                _ => null as object,
            };
        }

        return json;
    }

    private static JsonObject Reference(string path) => new() { ["$ref"] = path };

    private static JsonObject Text(string meaning) => new() { ["type"] = "string", ["description"] = meaning };
}
