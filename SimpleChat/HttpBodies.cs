using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace SimpleChat;

/// <summary>A message in a request's answer.</summary>
[method: JsonConstructor]
internal sealed record MessageBody(long Id, string From, string To, string Text, string SentAt)
{
    public MessageBody(Message message) : this(message.Id, message.From, message.To, Encoding.UTF8.GetString(message.Text), FrameWriter.Time(message.SentAt))
    {
    }
}

/// <summary>A message in a page of history.</summary>
[method: JsonConstructor]
internal sealed record HistoryMessageBody(long Id, string From, string To, string Text, string SentAt, bool Delivered)
{
    public HistoryMessageBody(HistoryMessage row)
        : this(row.Message.Id, row.Message.From, row.Message.To, Encoding.UTF8.GetString(row.Message.Text), FrameWriter.Time(row.Message.SentAt), row.Delivered)
    {
    }
}

internal sealed record InboxBody(IReadOnlyList<MessageBody> Messages);

internal sealed record HistoryBody(IReadOnlyList<HistoryMessageBody> Messages, bool HasMore);

internal sealed record PresenceBody(string User, bool Online);

internal sealed record SendBody(string To, string Text, string? ClientMessageId = null);

internal sealed record AckBody(IReadOnlyList<long> Ids);

/// <summary>The bodies that go over HTTP, with writers generated at compile time.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(MessageBody))]
[JsonSerializable(typeof(InboxBody))]
[JsonSerializable(typeof(HistoryBody))]
[JsonSerializable(typeof(PresenceBody))]
[JsonSerializable(typeof(HealthBody))]
[JsonSerializable(typeof(SendBody))]
[JsonSerializable(typeof(AckBody))]
internal sealed partial class ChatJson : JsonSerializerContext
{
    /// <summary>The wire's context: UTF-8 as it is, instead of \u escapes for all that is not ASCII. No frame is ever pasted into HTML by the server.</summary>
    public static ChatJson Wire => field ??= new(new JsonSerializerOptions(Default.Options) { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
}
