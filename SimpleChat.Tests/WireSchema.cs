using System.Text.Json;
using System.Text.RegularExpressions;

namespace SimpleChat.Tests;

/// <summary>
/// Holds every frame that a test sees against <c>/asyncapi.json</c>: what is in it, and what its schema does not have. Knows the keywords
/// that are used there, and fails on any other.
/// </summary>
internal static class WireSchema
{
    /// <summary>The frames by their types, as the description in the program has them.</summary>
    public static JsonElement Messages { get; } = Read().GetProperty("components").GetProperty("messages");

    /// <summary>Checks a frame that the server sent.</summary>
    public static void Check(Frame frame)
    {
        Assert.True(Messages.TryGetProperty(frame.Type, out var message), $"The schema has no {frame}");
        Check(frame.Json, message.GetProperty("payload"), $"{frame}");
    }

    private static void Check(JsonElement value, JsonElement schema, string where)
    {
        foreach (var keyword in schema.EnumerateObject())
            Assert.True(Holds(value, keyword, schema, where), $"{where}: {value} is not as {keyword} says.");
    }

    private static bool Holds(JsonElement value, JsonProperty keyword, JsonElement schema, string where)
    {
        var limit = keyword.Value;
        switch (keyword.Name)
        {
            case "description":
                return true;
            case "type":
                return limit.GetString() switch
                {
                    "object" => value.ValueKind == JsonValueKind.Object,
                    "string" => value.ValueKind == JsonValueKind.String,
                    "integer" => value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out _),
                    "array" => value.ValueKind == JsonValueKind.Array,
                    _ => false,
                };
            case "const":
                return value.GetString() == limit.GetString();
            case "enum":
                return limit.EnumerateArray().Any(allowed => allowed.GetString() == value.GetString());
            case "pattern":
                return Regex.IsMatch(value.GetString()!, limit.GetString()!);
            case "minLength":
                return value.GetString()!.Length >= limit.GetInt32();
            case "minimum":
                return value.GetInt64() >= limit.GetInt64();
            case "maximum":
                return value.GetInt64() <= limit.GetInt64();
            case "required":
                return limit.EnumerateArray().All(name => value.TryGetProperty(name.GetString()!, out _));
            case "properties":
                foreach (var property in value.EnumerateObject())
                {
                    Assert.True(limit.TryGetProperty(property.Name, out var inner), $"{where}: the schema has no {property.Name}.");
                    Check(property.Value, inner, $"{where}: {property.Name}");
                }

                return true;
            default:
                throw new NotSupportedException($"{where}: the keyword {keyword.Name} of {schema}");
        }
    }

    private static JsonElement Read()
    {
        using var file = typeof(Chat).Assembly.GetManifestResourceStream("SimpleChat.wwwroot.asyncapi.json")!;
        using var document = JsonDocument.Parse(file);
        return document.RootElement.Clone();
    }
}
