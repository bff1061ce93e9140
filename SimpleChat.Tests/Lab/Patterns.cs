using System.Text.Json;

namespace SimpleChat.Tests.Lab;

/// <summary>What a lesson waits for: patterns that entries of a run match.</summary>
internal static class Patterns
{
    /// <summary>Whether a value has each property of a pattern, and of an array each element somewhere.</summary>
    public static bool Matches(this JsonElement value, JsonElement pattern) => pattern.ValueKind switch
    {
        JsonValueKind.Object => value.ValueKind == JsonValueKind.Object && pattern.EnumerateObject()
            .All(part => value.TryGetProperty(part.Name, out var other) && other.Matches(part.Value)),
        JsonValueKind.Array => value.ValueKind == JsonValueKind.Array && pattern.EnumerateArray()
            .All(part => value.EnumerateArray().Any(other => other.Matches(part))),
        _ => JsonElement.DeepEquals(value, pattern),
    };

    /// <summary>A pattern, written as JSON.</summary>
    public static JsonElement Parse(string json) => JsonDocument.Parse(json).RootElement;
}
