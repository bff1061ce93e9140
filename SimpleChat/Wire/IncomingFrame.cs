using System.Text.Json;

namespace SimpleChat.Wire;

/// <summary>
/// A client's frame after it was read: what it asks for, or the refusal that answers it. One WebSocket text message holds one JSON object.
/// Request bodies are read here too. <see cref="ClientMessageId"/> is kept whenever the frame has a valid one, so that an error can name
/// it.
/// </summary>
internal readonly record struct IncomingFrame(
    FrameType Type, string To, byte[] Text, string? ClientMessageId, IReadOnlyList<long> Ids, Refusal? Refusal)
{
    /// <summary>The longest clientMessageId, in Unicode code points.</summary>
    public const int MaxClientMessageIdLength = 64;

    /// <summary>The most ids in one ack, repeats counted. It bounds what one ack costs the writer.</summary>
    public const int MaxAckIds = 1024;

    /// <summary>Ids are safe integers in every JSON reader: below 2^53 (RFC 8259, section 6).</summary>
    public const long MaxId = (1L << 53) - 1;

    /// <summary>A property that is ignored may hold anything, however deep. Its depth costs bits, not stack.</summary>
    private static readonly JsonReaderOptions AnyDepth = new() { MaxDepth = int.MaxValue };

    /// <summary>
    /// Reads a client's frame. Property order is free, unknown properties are ignored, of a repeated one the last counts.
    /// Nothing a client can write makes it throw: whatever is wrong comes back as <see cref="IncomingFrame.Refusal"/>.
    /// </summary>
    /// <param name="lastTo">Whom the client wrote to last. It is most often the same user again, and then no new string is made.</param>
    public static IncomingFrame Read(ReadOnlySpan<byte> json, string lastTo = "") =>
        new Reader(json, lastTo).Read(FrameType.Send, isBody: false);

    /// <summary>
    /// Reads a request's body, in which the request says what it is, and <c>type</c> is a property like any that is unknown.
    /// </summary>
    public static IncomingFrame ReadBody(ReadOnlySpan<byte> json, FrameType type) => new Reader(json, "").Read(type, isBody: true);

    /// <summary>The properties of a frame as they come, each judged only when it is known what the frame is.</summary>
    private ref struct Reader(ReadOnlySpan<byte> json, string lastTo)
    {
        private Utf8JsonReader _json = new(json, AnyDepth);
        private string? _to, _clientMessageId;
        private byte[]? _text;
        private bool _typeIsKnown = true, _clientMessageIdIsBad;
        private List<long>? _ids;

        public IncomingFrame Read(FrameType type, bool isBody)
        {
            try
            {
                if (!_json.Read() || _json.TokenType != JsonTokenType.StartObject)
                    throw new JsonException();
                while (_json.Read() && _json.TokenType == JsonTokenType.PropertyName)
                    ReadProperty(ref type, isBody);
                if (_json.Read()) // the reader itself refuses anything after the object
                    throw new JsonException();

                return new IncomingFrame(type, _to ?? "", _text ?? [], _clientMessageId, _ids ?? [], Judge(type));
            }
            // The latter: a name or a type with escapes that make no Unicode text.
            catch (Exception e) when (e is JsonException or InvalidOperationException)
            {
                return new IncomingFrame(type, "", [], null, [], Refusal.InvalidJson);
            }
        }

        private void ReadProperty(ref FrameType type, bool isBody)
        {
            if (_json.ValueTextEquals("to"u8))
                _to = ReadString(lastTo);
            else if (_json.ValueTextEquals("text"u8))
                ReadText();
            else if (_json.ValueTextEquals("clientMessageId"u8))
                ReadClientMessageId();
            else if (!isBody && _json.ValueTextEquals("type"u8))
                ReadType(ref type);
            else if (_json.ValueTextEquals("ids"u8))
                ReadIds();
            else
                _json.Skip();
        }

        /// <summary>Reads the property's value. False if it is no string; then all of it is skipped.</summary>
        private bool ReadsString()
        {
            _json.Read();
            _json.Skip(); // does nothing to a string, a number or null
            return _json.TokenType == JsonTokenType.String;
        }

        /// <summary>Reads the text as UTF-8. It is null for anything else, also for a string with lone surrogates.</summary>
        private void ReadText()
        {
            _text = null;
            if (!ReadsString())
                return;
            var text = new byte[_json.ValueSpan.Length];
            try
            {
                var length = _json.CopyString(text); // shorter, if there were escapes
                _text = length == text.Length ? text : text[..length];
            }
            catch (InvalidOperationException) // escapes that make no Unicode text
            {
            }
        }

        /// <summary>Reads a string; <paramref name="known"/> itself, if it is the same. Null for anything else, as in the text.</summary>
        private string? ReadString(string known = "")
        {
            if (!ReadsString())
                return null;
            try
            {
                return _json.ValueTextEquals(known) ? known : _json.GetString();
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

        private void ReadType(ref FrameType type)
        {
            FrameType? known = !ReadsString() ? null
                : _json.ValueTextEquals("send"u8) ? FrameType.Send
                : _json.ValueTextEquals("ack"u8) ? FrameType.Ack
                : _json.ValueTextEquals("ping"u8) ? FrameType.Ping
                : null;
            (_typeIsKnown, type) = (known is not null, known ?? type);
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
                // 41.0 is 41: a reader may take every number for a double (RFC 8259, section 6), and in a double ids are exact
                double id = 0;
                good = good && ids.Count < MaxAckIds && _json.TokenType == JsonTokenType.Number && _json.TryGetDouble(out id)
                    && id is > 0 and <= MaxId && id == Math.Truncate(id);
                if (good)
                    ids.Add((long)id);
            }

            _ids = good ? ids : null;
        }

        private readonly Refusal? Judge(FrameType type) => type switch
        {
            _ when !_typeIsKnown => Refusal.UnknownType,
            FrameType.Ping => null,
            FrameType.Ack => _ids is null ? Refusal.InvalidAck : null,
            _ when _clientMessageIdIsBad => Refusal.InvalidClientMessageId,
            _ when !UserId.IsValid(_to) => Refusal.InvalidRecipient,
            _ when _text is not { Length: > 0 } => Refusal.InvalidText,
            _ => null,
        };
    }
}

/// <summary>What a client's frame asks the server to do.</summary>
internal enum FrameType
{
    Send,
    Ack,
    Ping,
}
