using System.Text.Json;

namespace SimpleChat.Tests;

/// <summary>A test that needs what <c>npm ci</c> installs: without it is skipped, and says so; where CI=true it fails instead.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class NodeFactAttribute : FactAttribute
{
    public NodeFactAttribute()
    {
        var validators = Path.Combine(DescriptionTests.Folder, "node_modules", "@asyncapi");
        if (Environment.GetEnvironmentVariable("CI") != "true" && !Directory.Exists(validators))
            Skip = "The validators are missing: npm ci in SimpleChat.Tests.";
    }
}

/// <summary>What the server says about itself for programs: <c>/asyncapi.json</c> and <c>/openapi/v1.json</c>.</summary>
public sealed class DescriptionTests
{
    internal static string Folder { get; } = Path.Combine(ArchitectureTests.Root, "SimpleChat.Tests");

    [NodeFact]
    public async Task Both_are_as_their_specifications_say()
    {
        using var folder = new TempFolder();
        await using var server = await new ChatServer { InMemory = true }.StartAsync();
        await File.WriteAllTextAsync(folder.File("asyncapi.json"), await server.Http.GetStringAsync("/asyncapi.json"));
        await File.WriteAllTextAsync(folder.File("openapi.json"), await server.Http.GetStringAsync("/openapi/v1.json"));
        var (code, said) = await Tool.RunAsync(
            new("node", ["descriptions.mjs", folder.File("asyncapi.json"), folder.File("openapi.json")]) { WorkingDirectory = Folder });
        Assert.True(code == 0, said);
    }

    [Fact]
    public async Task Each_frame_of_the_contract_is_described_with_what_may_be_left_out()
    {
        await using var server = await new ChatServer { InMemory = true }.StartAsync();
        using var description = JsonDocument.Parse(await server.Http.GetStringAsync("/asyncapi.json"));
        var messages = description.RootElement.GetProperty("components").GetProperty("messages");
        var shapes = messages.EnumerateObject().Select(message => $"{message.Name}: {Shape(message.Value.GetProperty("payload"))}");
        Assert.Equal(
            [
                "send: type? to text clientMessageId?", "ack: type ids", "ping: type",
                "connected: type user maxMessageBytes", "sent: type id to sentAt clientMessageId?", "message: type id from to text sentAt",
                "delivered: type id to", "error: type code message clientMessageId?", "pong: type",
            ],
            shapes);
        var codes = messages.GetProperty("error").GetProperty("payload").GetProperty("properties").GetProperty("code").GetProperty("enum");
        Assert.All(
            [Refusal.InvalidJson, Refusal.UnknownType, Refusal.InvalidRecipient, Refusal.InvalidText, Refusal.InvalidClientMessageId,
                Refusal.ClientMessageIdReused, Refusal.InvalidAck, Refusal.RateLimited, Refusal.StorageUnavailable],
            refusal => Assert.Contains(refusal.Code, codes.EnumerateArray().Select(code => code.GetString())));

        static string Shape(JsonElement payload)
        {
            var required = payload.TryGetProperty("required", out var list) ? list.EnumerateArray().Select(name => name.GetString()) : [];
            return string.Join(' ', payload.GetProperty("properties").EnumerateObject()
                .Select(property => property.Name + (required.Contains(property.Name) ? "" : "?")));
        }
    }
}
