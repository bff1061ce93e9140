using System.Text;

namespace SimpleChat.Benchmarks;

/// <summary>
/// The frame that one user sends again and again, masked already: only two numbers change, and a third if it names itself.
/// Its text is 100 bytes: who, which, when it was meant to be sent, and filler; with these the recipient proves that it got everything.
/// </summary>
internal sealed class SendFrame
{
    private const int SenderDigits = 5, NumberDigits = 10, MicrosDigits = 14, TextBytes = 100;
    private const int NumberAt = SenderDigits + 1, MicrosAt = NumberAt + NumberDigits + 1, FillerAt = MicrosAt + MicrosDigits;

    private static readonly byte[] Filler = Encoding.ASCII.GetBytes(
        " the quick brown fox jumps over the lazy dog, and over it again and again"[..(TextBytes - FillerAt)]);

    private static readonly long Origin = Stopwatch.GetTimestamp();

    private readonly byte[] _frame;
    private readonly int _textAt;
    private readonly int _clientMessageIdAt = -1;

    /// <param name="sender">The sender's number.</param>
    /// <param name="recipient">The recipient's name.</param>
    /// <param name="clientMessageIds">Gives each message a clientMessageId of its own, different in each run too.</param>
    public SendFrame(int sender, string recipient, bool clientMessageIds)
        : this($$"""{"type":"send","to":"{{recipient}}","text":"{{sender:D5}} """, "}", clientMessageIds)
    {
    }

    private SendFrame(string before, string after, bool clientMessageIds)
    {
        _textAt = before.Length - NumberAt;
        var json = $"{before}{0:D10} {0:D14}{Encoding.ASCII.GetString(Filler)}\"";
        if (clientMessageIds)
        {
            json += $",\"clientMessageId\":\"{Guid.NewGuid():N}-";
            _clientMessageIdAt = json.Length;
            json += $"{0:D10}\"";
        }

        _frame = new byte[json.Length + after.Length + Wire.LongHeader];
        Length = Wire.Write(_frame, Wire.Text, Encoding.ASCII.GetBytes(json + after));
        if (Length != _frame.Length)
            throw new InvalidOperationException("The frame is shorter than expected.");
    }

    /// <summary>The same message as SignalR's JSON protocol has it: the hub's method Send is called.</summary>
    public static SendFrame Invocation(int sender, string recipient) => new(
        $$"""{"type":1,"invocationId":"1","target":"Send","arguments":["{{recipient}}","{{sender:D5}} """, "]}\u001e",
        clientMessageIds: false);

    /// <summary>Bytes on the wire.</summary>
    public int Length { get; }

    /// <summary>Microseconds since the start: the clock by which intended and actual times are told.</summary>
    public static long Now => (long)(Stopwatch.GetElapsedTime(Origin).TotalMicroseconds);

    /// <summary>Writes the frame with its numbers; returns <see cref="Length"/>.</summary>
    /// <param name="target">Has room for it.</param>
    /// <param name="number">Which of the sender's messages it is, from 1.</param>
    /// <param name="micros">When it was meant to be sent; 0 if nobody asks.</param>
    public int Write(Span<byte> target, long number, long micros)
    {
        _frame.CopyTo(target);
        var payload = target[Wire.LongHeader..];
        Wire.WriteDigits(payload, _textAt + NumberAt, NumberDigits, number);
        Wire.WriteDigits(payload, _textAt + MicrosAt, MicrosDigits, micros);
        if (_clientMessageIdAt >= 0)
            Wire.WriteDigits(payload, _clientMessageIdAt, NumberDigits, number);
        return Length;
    }

    /// <summary>Reads the text back.</summary>
    /// <exception cref="NotProvenException">It is not what was sent.</exception>
    public static (int Sender, long Number, long Micros) Read(ReadOnlySpan<byte> text)
    {
        if (text.Length != TextBytes || !text[FillerAt..].SequenceEqual(Filler))
            throw new NotProvenException($"a text that nobody sent: {Encoding.UTF8.GetString(text)}");
        return ((int)Wire.Number(text), Wire.Number(text[NumberAt..]), Wire.Number(text[MicrosAt..]));
    }
}
