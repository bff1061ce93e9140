using System.Buffers;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.Extensions.ObjectPool;

namespace SimpleChat.Wire;

/// <summary>
/// Writes the server's frames. Each is one JSON object, with <c>type</c> first. It is written into a buffer, which the next frame
/// overwrites. A writer is taken from the <see cref="Pool"/> for as long as there is something to write. Most characters outside ASCII
/// are written without \u escapes, because the server never pastes a frame into HTML.
/// </summary>
internal sealed class FrameWriter : IResettable, IDisposable
{
    public static readonly ObjectPool<FrameWriter> Pool = ObjectPool.Create<FrameWriter>();

    /// <summary>A time on the wire: UTC with milliseconds (RFC 3339).</summary>
    public const string TimeFormat = "yyyy-MM-dd'T'HH:mm:ss.fff'Z'";

    /// <summary>The same as a regular expression, for the descriptions of the wire.</summary>
    public const string TimePattern = @"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$";

    private const int FirstBuffer = 1024;

    /// <summary>A buffer that a large message made longer than this is not kept.</summary>
    private const int LargestKeptBuffer = 256 * 1024;

    private static readonly JsonWriterOptions Relaxed =
        new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    private readonly ArrayBufferWriter<byte> _buffer = new(FirstBuffer);
    private readonly Utf8JsonWriter _json;

    public FrameWriter() => _json = new Utf8JsonWriter(_buffer, Relaxed);

    /// <summary>A message's frame, in an array of its own.</summary>
    public static byte[] BytesOf(Message message)
    {
        var frames = Pool.Get();
        var bytes = frames.Message(message).ToArray();
        Pool.Return(frames);
        return bytes;
    }

    /// <summary><c>connected</c>: whom the server takes the client for, and the largest message that it takes, in bytes.</summary>
    public ReadOnlyMemory<byte> Connected(string user, int maxMessageBytes)
    {
        Begin("connected"u8);
        _json.WriteString("user"u8, user);
        _json.WriteNumber("maxMessageBytes"u8, maxMessageBytes);
        return End();
    }

    /// <summary>What answers a frame of the client: <c>sent</c>, <c>error</c> or <c>pong</c>.</summary>
    public ReadOnlyMemory<byte> Answer(FrameAnswer answer)
    {
        if (answer.Refusal is { } refusal)
        {
            Begin("error"u8);
            _json.WriteString("code"u8, refusal.Code);
            _json.WriteString("message"u8, refusal.Message);
            if (answer.ClientMessageId is not null)
                _json.WriteString("clientMessageId"u8, answer.ClientMessageId);
        }
        else if (answer.Id > 0)
        {
            Begin("sent"u8);
            _json.WriteNumber("id"u8, answer.Id);
            if (answer.ClientMessageId is not null)
                _json.WriteString("clientMessageId"u8, answer.ClientMessageId);
            _json.WriteString("to"u8, answer.To);
            _json.WriteString("sentAt"u8, Time(answer.SentAt));
        }
        else
        {
            Begin("pong"u8);
        }

        return End();
    }

    /// <summary><c>message</c>: a message to the user, or one that it sent from elsewhere.</summary>
    public ReadOnlyMemory<byte> Message(Message message)
    {
        Begin("message"u8);
        WriteFields(message);
        return End();
    }

    /// <summary>A message in a request's answer or a stream's event. It has no <c>type</c>.</summary>
    public ReadOnlyMemory<byte> Body(Message message)
    {
        Begin();
        WriteFields(message);
        return End();
    }

    public ReadOnlyMemory<byte> Body(HistoryMessage row)
    {
        Begin();
        WriteFields(row);
        return End();
    }

    /// <summary>A conversation in the list of them, with the message that was its last.</summary>
    public ReadOnlyMemory<byte> Body(Conversation conversation)
    {
        Begin();
        _json.WriteString("with"u8, conversation.With);
        _json.WriteStartObject("last"u8);
        WriteFields(conversation.Last);
        _json.WriteEndObject();
        return End();
    }

    /// <summary><c>delivered</c>: a message that the user sent has left the inbox.</summary>
    public ReadOnlyMemory<byte> Delivered(Receipt receipt)
    {
        Begin("delivered"u8);
        _json.WriteNumber("id"u8, receipt.Id);
        _json.WriteString("to"u8, receipt.To);
        return End();
    }

    /// <summary>A time as <see cref="TimeFormat"/> has it. Messages of the same millisecond share the string.</summary>
    public static string Time(long milliseconds)
    {
        var last = _lastTime;
        if (last is null || last.Milliseconds != milliseconds)
        {
            var text = DateTimeOffset.FromUnixTimeMilliseconds(milliseconds).ToString(TimeFormat, CultureInfo.InvariantCulture);
            _lastTime = last = new WrittenTime(milliseconds, text);
        }

        return last.Text;
    }

    bool IResettable.TryReset() => _buffer.Capacity <= LargestKeptBuffer;

    public void Dispose() => _json.Dispose();

    private void WriteFields(Message message)
    {
        _json.WriteNumber("id"u8, message.Id);
        _json.WriteString("from"u8, message.From);
        _json.WriteString("to"u8, message.To);
        _json.WriteString("text"u8, message.Text);
        _json.WriteString("sentAt"u8, Time(message.SentAt));
    }

    private void WriteFields(HistoryMessage row)
    {
        WriteFields(row.Message);
        _json.WriteBoolean("delivered"u8, row.Delivered);
    }

    private void Begin(ReadOnlySpan<byte> type)
    {
        Begin();
        _json.WriteString("type"u8, type);
    }

    private void Begin()
    {
        _buffer.ResetWrittenCount();
        _json.Reset();
        _json.WriteStartObject();
    }

    private ReadOnlyMemory<byte> End()
    {
        _json.WriteEndObject();
        _json.Flush();
        return _buffer.WrittenMemory;
    }

    private static WrittenTime? _lastTime;

    private sealed record WrittenTime(long Milliseconds, string Text);
}
