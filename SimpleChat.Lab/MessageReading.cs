using System.Buffers.Binary;
using System.Text;
using System.Text.Json;

namespace SimpleChat.Lab;

/// <summary>What a frame says.</summary>
/// <param name="What">The type of its message, or what the frame is.</param>
/// <param name="Text">The message, or a close frame's reason.</param>
/// <param name="Id">The message's id.</param>
/// <param name="Ids">The ids of an ack.</param>
/// <param name="ClientMessageId">The sender's own name for the message.</param>
/// <param name="Code">A close frame's code.</param>
internal sealed record Said(
    string What, string? Text = null, long? Id = null, long[]? Ids = null, string? ClientMessageId = null, int? Code = null);

/// <summary>Reads the messages that go one way over a WebSocket, out of its frames.</summary>
/// <param name="isUp">Whether they go to the server. There, a message without a type is a send.</param>
internal sealed class MessageReading(bool isUp)
{
    private readonly List<byte> _parts = [];

    /// <summary>Reads the next frame. Of a message in several frames the last one says what it is.</summary>
    public Said Read(WebSocketFrame frame)
    {
        switch (frame.Opcode)
        {
            case WebSocketFrame.Close:
                var payload = frame.Payload();
                return payload.Length < 2
                    ? new Said("close")
                    : new Said("close", Encoding.UTF8.GetString(payload.AsSpan(2)), Code: BinaryPrimitives.ReadUInt16BigEndian(payload));
            case WebSocketFrame.Ping:
                return new Said("ping frame");
            case WebSocketFrame.Pong:
                return new Said("pong frame");
            case WebSocketFrame.Text or WebSocketFrame.Continuation:
                _parts.AddRange(frame.Payload());
                if (!frame.Fin)
                    return new Said("other");
                var message = _parts.ToArray();
                _parts.Clear();
                return ReadMessage(message);
            default:
                return new Said("other");
        }
    }

    private Said ReadMessage(byte[] message)
    {
        var text = Encoding.UTF8.GetString(message);
        try
        {
            using var json = JsonDocument.Parse(message);
            var root = json.RootElement;
            if (root.ValueKind != JsonValueKind.Object)
                return new Said("other", text);
            return new Said(
                String(root, "type") ?? (isUp ? "send" : "other"),
                text,
                root.TryGetProperty("id", out var id) && id.TryGetInt64(out var number) ? number : null,
                root.TryGetProperty("ids", out var ids) ? [.. ids.EnumerateArray().Select(one => one.GetInt64())] : null,
                String(root, "clientMessageId"));
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException)
        {
            return new Said("other", text); // it is for the server to say what is wrong with it
        }
    }

    private static string? String(JsonElement json, string name) => json.TryGetProperty(name, out var value) ? value.GetString() : null;
}
