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

    public static readonly byte[] Pong = Encode(new PongFrame());

    public static byte[] Connected(string user) => Encode(new ConnectedFrame(user));

    public static byte[] Sent(Message message, string? clientMessageId) =>
        Encode(new SentFrame(message.Id, clientMessageId, message.To, Time(message.SentAt)));

    public static byte[] Message(Message message) =>
        Encode(new MessageFrame(message.Id, message.From, message.To, message.Text, Time(message.SentAt)));

    public static byte[] Delivered(Receipt receipt) => Encode(new DeliveredFrame(receipt.Id, receipt.To));

    public static byte[] Error(ChatError error, string? clientMessageId) => Encode(new ErrorFrame(error.Code!, error.Message, clientMessageId));

    /// <summary>A time on the wire: UTC with milliseconds (RFC 3339).</summary>
    public static string Time(long milliseconds) =>
        DateTimeOffset.FromUnixTimeMilliseconds(milliseconds).ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);

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
        catch (JsonException)
        {
            return new ClientFrame(type, "", "", null, [], ChatError.InvalidJson);
        }
    }

    private static byte[] Encode<T>(T frame) => JsonSerializer.SerializeToUtf8Bytes(frame, typeof(T), ChatJson.Wire);

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

/// <summary>Frames as the contract spells them, <c>type</c> first. A property without a value is left out.</summary>
internal abstract record Frame([property: JsonPropertyOrder(-1)] string Type);

internal sealed record ConnectedFrame(string User) : Frame("connected");

internal sealed record SentFrame(long Id, string? ClientMessageId, string To, string SentAt) : Frame("sent");

internal sealed record MessageFrame(long Id, string From, string To, string Text, string SentAt) : Frame("message");

internal sealed record DeliveredFrame(long Id, string To) : Frame("delivered");

internal sealed record ErrorFrame(string Code, string Message, string? ClientMessageId) : Frame("error");

internal sealed record PongFrame() : Frame("pong");

/// <summary>Every type that goes over the wire, with readers and writers generated at compile time.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ConnectedFrame))]
[JsonSerializable(typeof(SentFrame))]
[JsonSerializable(typeof(MessageFrame))]
[JsonSerializable(typeof(DeliveredFrame))]
[JsonSerializable(typeof(ErrorFrame))]
[JsonSerializable(typeof(PongFrame))]
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
