using System.Reflection;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

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
public sealed partial class DescriptionTests
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
        static string Shape(JsonElement payload)
        {
            var required = payload.TryGetProperty("required", out var list) ? list.EnumerateArray().Select(name => name.GetString()) : [];
            return string.Join(' ', payload.GetProperty("properties").EnumerateObject()
                .Select(property => property.Name + (required.Contains(property.Name) ? "" : "?")));
        }
    }

    [Fact]
    public void Each_frame_that_the_server_writes_has_every_property_that_is_described_for_it_and_no_other()
    {
        using var frames = new FrameWriter();
        var message = new Message(1, "alice", "bob", "hi"u8.ToArray(), SentAt: 0);
        foreach (var (type, json) in new[]
        {
            ("connected", Written(frames.Connected("alice", 1024))), ("sent", Written(frames.Answer(FrameAnswer.Sent(message, "1")))),
            ("message", Written(frames.Message(message))), ("delivered", Written(frames.Delivered(new Receipt(1, "alice", "bob")))),
            ("error", Written(frames.Answer(FrameAnswer.Refused(Refusal.InvalidText, "1")))),
            ("pong", Written(frames.Answer(FrameAnswer.Pong))),
        })
        {
            WireSchema.Check(json);
            Assert.Equal((type, new Frame(Properties(type)).Properties), (json.Type, json.Properties));
        }

        static Frame Written(ReadOnlyMemory<byte> frame) => Frame.Parse(Encoding.UTF8.GetString(frame.Span));
    }

    [Theory]
    [InlineData("send")]
    [InlineData("ack")]
    [InlineData("ping")]
    public void Each_property_that_is_described_for_a_client_s_frame_is_read_and_held_to_its_type(string type)
    {
        long[] ids = [1];
        var frame = Properties(type).EnumerateObject().ToDictionary(property => property.Name, property => property.Name switch
        {
            "type" => type,
            "ids" => ids,
            _ => (object)"bob",
        });
        Assert.Null(Refusal(frame));
        foreach (var property in frame.Keys)
            Assert.NotNull(Refusal(new(frame) { [property] = true }));
        Assert.Null(Refusal(new(frame) { ["unknown"] = true }));

        static Refusal? Refusal(Dictionary<string, object> frame) => IncomingFrame.Read(JsonSerializer.SerializeToUtf8Bytes(frame)).Refusal;
    }

    [Fact]
    public void The_limits_and_the_codes_that_are_described_are_the_server_s_own()
    {
        var name = Properties("send").GetProperty("clientMessageId");
        Assert.Equal(IncomingFrame.MaxClientMessageIdLength, name.GetProperty("maxLength").GetInt32());
        Assert.Equal(IncomingFrame.MaxAckIds, Properties("ack").GetProperty("ids").GetProperty("maxItems").GetInt32());
        Assert.Equal(IncomingFrame.MaxId, Properties("message").GetProperty("id").GetProperty("maximum").GetInt64());
        var user = new Regex(Properties("send").GetProperty("to").GetProperty("pattern").GetString()!);
        string[] ids =
            ["", .. Enumerable.Range(1, 127).Select(c => $"a{(char)c}b"), new('a', UserId.MaxLength), new('a', UserId.MaxLength + 1)];
        Assert.All(ids, id => Assert.Equal(UserId.IsValid(id), user.IsMatch(id)));
        var refusals = typeof(Refusal).GetFields(BindingFlags.Public | BindingFlags.Static).Select(field => (Refusal)field.GetValue(null)!);
        Assert.Equal(
            refusals.Select(refusal => refusal.Code).Where(code => code is not (null or "unknown_position")).ToHashSet(), // HTTP's alone
            Properties("error").GetProperty("code").GetProperty("enum").EnumerateArray().Select(code => code.GetString()).ToHashSet());
    }

    [Fact]
    public async Task Each_name_that_the_server_reads_or_writes_as_JSON_is_described()
    {
        await using var server = await new ChatServer { InMemory = true }.StartAsync();
        var described = new HashSet<string>();
        foreach (var path in new[] { "/asyncapi.json", "/openapi/v1.json" })
            Collect(Frame.Parse(await server.Http.GetStringAsync(path)).Json);
        string[] files = ["FrameWriter.cs", "IncomingFrame.cs"];
        var wire = Path.Combine(ArchitectureTests.Root, "SimpleChat", "Wire");
        var names = files.SelectMany(file => Name().Matches(File.ReadAllText(Path.Combine(wire, file))))
            .Select(match => match.Groups[1].Value).ToHashSet();
        Assert.Contains("clientMessageId", names);
        Assert.Subset(described, names);

        void Collect(JsonElement json)
        {
            if (json.ValueKind == JsonValueKind.Array)
                json.EnumerateArray().ToList().ForEach(Collect);
            if (json.ValueKind != JsonValueKind.Object)
                return;
            foreach (var property in json.EnumerateObject())
            {
                if (property.Name is "properties" or "messages" && property.Value.ValueKind == JsonValueKind.Object)
                    described.UnionWith(property.Value.EnumerateObject().Select(described => described.Name));
                Collect(property.Value);
            }
        }
    }

    private static JsonElement Properties(string frame) =>
        WireSchema.Messages.GetProperty(frame).GetProperty("payload").GetProperty("properties");

    [GeneratedRegex("\"(\\w+)\"u8")]
    private static partial Regex Name();
}
