using System.Globalization;
using System.Text;

namespace SimpleChat.Tests;

/// <summary>
/// A cable to Redis that loses 5 of 100 announcements, doubles 5, and holds up 20 by up to 50 ms, so that others overtake them. Answers to
/// commands come through. The nodes must speak RESP2 (https://redis.io/docs/latest/develop/reference/protocol-spec/).
/// </summary>
internal sealed class LossyCable(int port, Random random) : Cable(port)
{
    private int _lost, _doubled, _late;

    /// <summary>What it has done, for the log of a test.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{_lost} lost, {_doubled} doubled, {_late} late");

    protected override Pass PassAnswers(Stream to)
    {
        var pass = base.PassAnswers(to);
        var turns = new SemaphoreSlim(1);
        var waiting = Array.Empty<byte>();
        return async (bytes, stop) =>
        {
            waiting = [.. waiting, .. bytes.Span];
            var used = 0;
            while (LengthOf(waiting.AsSpan(used)) is > 0 and var length)
            {
                var answer = waiting[used..(used + length)];
                used += length;
                if (!answer.AsSpan().StartsWith("*3\r\n$7\r\nmessage\r\n"u8))
                {
                    await InTurnAsync(answer);
                    continue;
                }

                int chance;
                lock (random)
                    chance = random.Next(100);
                if (chance < 5)
                {
                    Interlocked.Increment(ref _lost);
                }
                else if (chance < 10)
                {
                    Interlocked.Increment(ref _doubled);
                    await InTurnAsync([.. answer, .. answer]);
                }
                else if (chance < 30)
                {
                    Interlocked.Increment(ref _late);
                    _ = LaterAsync(answer, (chance - 10) * 50 / 20);
                }
                else
                {
                    await InTurnAsync(answer);
                }
            }

            waiting = waiting[used..];

            async Task LaterAsync(byte[] answer, int milliseconds)
            {
                try
                {
                    await Task.Delay(milliseconds, stop);
                    await InTurnAsync(answer);
                }
                catch (Exception e) when (e is IOException or OperationCanceledException or ObjectDisposedException)
                {
                    // One end is gone: then it is lost.
                }
            }

            async Task InTurnAsync(byte[] answer)
            {
                await turns.WaitAsync(stop);
                try
                {
                    await pass(answer, stop);
                }
                finally
                {
                    turns.Release();
                }
            }
        };
    }

    /// <summary>The length of the first answer; 0 if it is not whole yet.</summary>
    private static int LengthOf(ReadOnlySpan<byte> bytes)
    {
        var end = bytes.IndexOf("\r\n"u8);
        if (end < 0)
            return 0;
        var number = bytes[0] is (byte)'*' or (byte)'$'
            ? int.Parse(Encoding.ASCII.GetString(bytes[1..end]), CultureInfo.InvariantCulture)
            : 0;
        var length = end + 2;
        if (bytes[0] == '$')
            return number < 0 ? length : bytes.Length < length + number + 2 ? 0 : length + number + 2;
        for (; number > 0; number--)
        {
            var one = LengthOf(bytes[length..]);
            if (one == 0)
                return 0;
            length += one;
        }

        return length;
    }
}
