using SimpleChat.Storage;
using SimpleChat.Wire;

namespace SimpleChat.ScaleOut;

/// <summary>
/// Rows in bytes, on their way to another process or kept in a cache. Numbers and strings are as <see cref="BinaryWriter"/> writes them.
/// </summary>
internal static class RowBytes
{
    /// <summary>Writes a string that may be missing.</summary>
    public static void WriteOptional(this BinaryWriter writer, string? value)
    {
        writer.Write(value is not null);
        if (value is not null)
            writer.Write(value);
    }

    /// <summary>Writes a number that may be missing.</summary>
    public static void WriteOptional(this BinaryWriter writer, long? value)
    {
        writer.Write(value is not null);
        if (value is { } number)
            writer.Write(number);
    }

    public static string? ReadOptionalString(this BinaryReader reader) => reader.ReadBoolean() ? reader.ReadString() : null;

    public static long? ReadOptionalNumber(this BinaryReader reader) => reader.ReadBoolean() ? reader.ReadInt64() : null;

    /// <summary>Writes values, however many they are.</summary>
    public static void WriteAll<T>(this BinaryWriter writer, IEnumerable<T> values, Action<T> write)
    {
        foreach (var value in values)
        {
            writer.Write(true);
            write(value);
        }

        writer.Write(false);
    }

    /// <summary>Reads what <see cref="WriteAll"/> has written. Claims no memory for what does not come.</summary>
    public static List<T> ReadAll<T>(this BinaryReader reader, Func<T> read)
    {
        var values = new List<T>();
        while (reader.ReadBoolean())
            values.Add(read());
        return values;
    }

    public static void WriteText(this BinaryWriter writer, byte[] text)
    {
        writer.Write7BitEncodedInt(text.Length);
        writer.Write(text);
    }

    /// <exception cref="EndOfStreamException">It is cut off.</exception>
    public static byte[] ReadText(this BinaryReader reader)
    {
        var length = reader.Read7BitEncodedInt();
        return (uint)length <= reader.BaseStream.Length - reader.BaseStream.Position
            ? reader.ReadBytes(length)
            : throw new EndOfStreamException();
    }

    public static void WriteDraft(this BinaryWriter writer, Draft draft)
    {
        writer.Write(draft.From);
        writer.Write(draft.To);
        writer.WriteText(draft.Text);
        writer.WriteOptional(draft.ClientMessageId);
        writer.Write(draft.ReceivedAt);
    }

    public static Draft ReadDraft(this BinaryReader reader) => new(
        reader.ReadString(), reader.ReadString(), reader.ReadText(), reader.ReadOptionalString(), reader.ReadInt64());

    public static void WriteMessage(this BinaryWriter writer, Message message)
    {
        writer.Write(message.Id);
        writer.Write(message.From);
        writer.Write(message.To);
        writer.WriteText(message.Text);
        writer.Write(message.SentAt);
    }

    public static Message ReadMessage(this BinaryReader reader) => new(
        reader.ReadInt64(), reader.ReadString(), reader.ReadString(), reader.ReadText(), reader.ReadInt64());

    public static void WriteHistory(this BinaryWriter writer, HistoryMessage message)
    {
        writer.WriteMessage(message.Message);
        writer.Write(message.Delivered);
    }

    public static HistoryMessage ReadHistory(this BinaryReader reader) => new(reader.ReadMessage(), reader.ReadBoolean());

    public static void WriteReceipt(this BinaryWriter writer, Receipt receipt)
    {
        writer.Write(receipt.Id);
        writer.Write(receipt.From);
        writer.Write(receipt.To);
    }

    public static Receipt ReadReceipt(this BinaryReader reader) =>
        new(reader.ReadInt64(), reader.ReadString(), reader.ReadString());

    public static void WriteWebhook(this BinaryWriter writer, WebhookRow row)
    {
        writer.Write(row.User);
        writer.Write(row.Url);
        writer.Write(row.Secret);
        writer.Write(row.SkippedUpTo);
    }

    public static WebhookRow ReadWebhook(this BinaryReader reader) =>
        new(reader.ReadString(), reader.ReadString(), reader.ReadString(), reader.ReadInt64());
}
