using System.Buffers;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace SimpleChat;

/// <summary>What a client's frame asks for.</summary>
internal enum ClientFrameType
{
    Send,
    Ack,
    Ping,
}

/// <summary>
/// A client's frame after reading: what it asks for, or the error that answers it.
/// <see cref="ClientMessageId"/> is there whenever the frame had a proper one, so that an error can name it.
/// </summary>
internal readonly record struct ClientFrame(
    ClientFrameType Type, string To, string Text, string? ClientMessageId, IReadOnlyList<long> Ids, ChatError? Error);

/// <summary>The wire: one WebSocket text message holds one JSON object, whichever way it goes. Request bodies are read here too.</summary>
internal static class Frames
{
    /// <summary>The longest clientMessageId, in Unicode code points.</summary>
    public const int MaxClientMessageIdLength = 64;

    /// <summary>Ids are safe integers in every JSON reader: below 2^53 (RFC 8259, section 6).</summary>
    public const long MaxId = (1L << 53) - 1;

    /// <summary>Nothing of ours nests deeper than an array in an object; what a client adds is ignored, and may be a little deeper.</summary>
    private static readonly JsonReaderOptions Strict = new() { MaxDepth = 16 };

    public static readonly byte[] Pong = Encode("pong", static (_, _) => { }, 0);

    public static byte[] Connected(string user) => Encode("connected", static (json, user) => json.WriteString("user"u8, user), user);

    public static byte[] Sent(Message message, string? clientMessageId) => Encode("sent", static (json, frame) =>
    {
        json.WriteNumber("id"u8, frame.message.Id);
        if (frame.clientMessageId is not null)
            json.WriteString("clientMessageId"u8, frame.clientMessageId);
        json.WriteString("to"u8, frame.message.To);
        json.WriteString("sentAt"u8, Time(frame.message.SentAt));
    }, (message, clientMessageId));

    public static byte[] Message(Message message) => Encode("message", static (json, message) =>
    {
        json.WriteNumber("id"u8, message.Id);
        json.WriteString("from"u8, message.From);
        json.WriteString("to"u8, message.To);
        json.WriteString("text"u8, message.Text);
        json.WriteString("sentAt"u8, Time(message.SentAt));
    }, message);

    public static byte[] Delivered(Receipt receipt) => Encode("delivered", static (json, receipt) =>
    {
        json.WriteNumber("id"u8, receipt.Id);
        json.WriteString("to"u8, receipt.To);
    }, receipt);

    public static byte[] Error(ChatError error, string? clientMessageId) => Encode("error", static (json, frame) =>
    {
        json.WriteString("code"u8, frame.error.Code);
        json.WriteString("message"u8, frame.error.Message);
        if (frame.clientMessageId is not null)
            json.WriteString("clientMessageId"u8, frame.clientMessageId);
    }, (error, clientMessageId));

    /// <summary>A time on the wire: UTC with milliseconds (RFC 3339). Messages of the same millisecond share the string.</summary>
    public static string Time(long milliseconds)
    {
        var last = _lastTime;
        if (last is null || last.Milliseconds != milliseconds)
        {
            var text = DateTimeOffset.FromUnixTimeMilliseconds(milliseconds).ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);
            _lastTime = last = new WrittenTime(milliseconds, text);
        }

        return last.Text;
    }

    /// <summary>
    /// Reads a client's frame. Property order is free, unknown properties are ignored, of a repeated one the last counts.
    /// Nothing a client can write makes it throw: whatever is wrong comes back as <see cref="ClientFrame.Error"/>.
    /// </summary>
    /// <param name="json">The whole message, UTF-8.</param>
    /// <param name="type">What a frame without <c>type</c> is; a request body has none.</param>
    public static ClientFrame Read(ReadOnlySpan<byte> json, ClientFrameType type = ClientFrameType.Send)
    {
        var reader = new FrameReader(json);
        try
        {
            return reader.Read(type);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException) // the latter: a name or a type with escapes that make no Unicode text
        {
            return new ClientFrame(type, "", "", null, [], ChatError.InvalidJson);
        }
    }

    /// <summary>Writes an object, <c>type</c> first. UTF-8 as it is, instead of \u escapes for all that is not ASCII: no frame is ever pasted into HTML by the server.</summary>
    private static byte[] Encode<T>(string type, Action<Utf8JsonWriter, T> writeProperties, T frame)
    {
        var (buffer, json) = _writer ??= NewWriter();
        buffer.ResetWrittenCount();
        json.Reset();
        json.WriteStartObject();
        json.WriteString("type"u8, type);
        writeProperties(json, frame);
        json.WriteEndObject();
        json.Flush();
        var bytes = buffer.WrittenSpan.ToArray();
        if (buffer.Capacity > LargestKeptBuffer)
            _writer = null;
        return bytes;

        static (ArrayBufferWriter<byte>, Utf8JsonWriter) NewWriter()
        {
            var buffer = new ArrayBufferWriter<byte>(1024);
            return (buffer, new Utf8JsonWriter(buffer, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true }));
        }
    }

    /// <summary>What a very large message made of a thread's buffer is let go again.</summary>
    private const int LargestKeptBuffer = 256 * 1024;

    /// <summary>A writer and its buffer, used again and again; each thread has its own.</summary>
    [ThreadStatic]
    private static (ArrayBufferWriter<byte> Buffer, Utf8JsonWriter Json)? _writer;

    private static WrittenTime? _lastTime;

    private sealed record WrittenTime(long Milliseconds, string Text);

    /// <summary>The properties of a frame as they come, each judged only when it is known what the frame is.</summary>
    private ref struct FrameReader(ReadOnlySpan<byte> json)
    {
        private Utf8JsonReader _json = new(json, Strict);
        private string? _to, _text, _clientMessageId;
        private bool _typeIsKnown = true, _clientMessageIdIsBad;
        private List<long>? _ids;

        public ClientFrame Read(ClientFrameType type)
        {
            if (!_json.Read() || _json.TokenType != JsonTokenType.StartObject)
                throw new JsonException();
            while (_json.Read() && _json.TokenType == JsonTokenType.PropertyName)
                ReadProperty(ref type);
            if (_json.Read()) // the reader itself refuses anything after the object
                throw new JsonException();

            return new ClientFrame(type, _to ?? "", _text ?? "", _clientMessageId, _ids ?? [], Judge(type));
        }

        private void ReadProperty(ref ClientFrameType type)
        {
            if (_json.ValueTextEquals("to"u8))
                _to = ReadString();
            else if (_json.ValueTextEquals("text"u8))
                _text = ReadString();
            else if (_json.ValueTextEquals("clientMessageId"u8))
                ReadClientMessageId();
            else if (_json.ValueTextEquals("type"u8))
                ReadType(ref type);
            else if (_json.ValueTextEquals("ids"u8))
                ReadIds();
            else
                _json.Skip();
        }

        /// <summary>A string, or null for anything else, a string with lone surrogates included.</summary>
        private string? ReadString()
        {
            _json.Read();
            if (_json.TokenType != JsonTokenType.String)
            {
                _json.Skip();
                return null;
            }

            try
            {
                return _json.GetString();
            }
            catch (InvalidOperationException) // escapes that make no Unicode text
            {
                return null;
            }
        }

        private void ReadClientMessageId()
        {
            _clientMessageId = ReadString();
            if (_clientMessageId is null)
            {
                _clientMessageIdIsBad = _json.TokenType != JsonTokenType.Null;
                return;
            }

            var length = 0;
            foreach (var _ in _clientMessageId.EnumerateRunes())
                length++;
            _clientMessageIdIsBad = length is 0 or > MaxClientMessageIdLength;
            if (_clientMessageIdIsBad)
                _clientMessageId = null;
        }

        private void ReadType(ref ClientFrameType type)
        {
            _json.Read();
            _typeIsKnown = true;
            if (_json.TokenType != JsonTokenType.String)
            {
                _typeIsKnown = false;
                _json.Skip();
            }
            else if (_json.ValueTextEquals("send"u8))
                type = ClientFrameType.Send;
            else if (_json.ValueTextEquals("ack"u8))
                type = ClientFrameType.Ack;
            else if (_json.ValueTextEquals("ping"u8))
                type = ClientFrameType.Ping;
            else
                _typeIsKnown = false;
        }

        private void ReadIds()
        {
            _json.Read();
            _ids = null;
            if (_json.TokenType != JsonTokenType.StartArray)
            {
                _json.Skip();
                return;
            }

            var ids = new List<long>();
            var depth = _json.CurrentDepth;
            var good = true;
            while (_json.Read() && !(_json.TokenType == JsonTokenType.EndArray && _json.CurrentDepth == depth))
            {
                if (_json.TokenType == JsonTokenType.Number && _json.TryGetInt64(out var id) && id is > 0 and <= MaxId)
                    ids.Add(id);
                else
                    good = false;
            }

            _ids = good ? ids : null;
        }

        private readonly ChatError? Judge(ClientFrameType type) => type switch
        {
            _ when !_typeIsKnown => ChatError.UnknownType,
            ClientFrameType.Ping => null,
            ClientFrameType.Ack => _ids is null ? ChatError.InvalidAck : null,
            _ when _clientMessageIdIsBad => ChatError.InvalidClientMessageId,
            _ when !UserId.IsValid(_to) => ChatError.InvalidRecipient,
            _ when string.IsNullOrEmpty(_text) => ChatError.InvalidText,
            _ => null,
        };
    }
}

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
