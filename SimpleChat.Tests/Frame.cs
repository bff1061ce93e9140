using System.Globalization;
using System.Text.Json;

namespace SimpleChat.Tests;

/// <summary>A JSON object that the server sent, as a frame or in a body, under the contract's names.</summary>
internal sealed record Frame(JsonElement Json)
{
    public string Type => Text("type");

    public long Id => Json.GetProperty("id").GetInt64();

    public string From => Text("from");

    public string To => Text("to");

    public string Body => Text("text");

    public string Code => Text("code");

    public string? ClientMessageId => Json.TryGetProperty("clientMessageId", out var value) ? value.GetString() : null;

    public string SentAtAsWritten => Text("sentAt");

    /// <summary>The message's position, in the long form.</summary>
    public string Position => $"{Id}@{SentAtAsWritten}";

    public DateTimeOffset SentAt => DateTimeOffset.Parse(SentAtAsWritten, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal);

    /// <summary>The names of all that is in it, sorted, with a blank between.</summary>
    public string Properties => string.Join(' ', Json.EnumerateObject().Select(property => property.Name).Order(StringComparer.Ordinal));

    public static Frame Parse(string json)
    {
        using var document = JsonDocument.Parse(json);
        return new Frame(document.RootElement.Clone());
    }

    public string Text(string property) => Json.GetProperty(property).GetString()!;

    public override string ToString() => Json.GetRawText();
}
