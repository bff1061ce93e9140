using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace SimpleChat.Tests.Batteries;

/// <summary>What a process asked of the disk and the network, in the order in which it did.</summary>
internal abstract record SystemCall;

/// <summary>Bytes were handed to the kernel for a file; they are on disk after the file's next sync.</summary>
internal sealed record FileWrite(string File, long Offset, byte[] Data) : SystemCall;

/// <summary>A file got this length; on disk after its next sync.</summary>
internal sealed record FileTruncate(string File, long Length) : SystemCall;

/// <summary>A sync was begun.</summary>
internal sealed record SyncBegins(string File) : SystemCall;

/// <summary>A sync was done: what was written before it began is on disk.</summary>
internal sealed record SyncEnds(string File) : SystemCall;

/// <summary>Bytes left for a client.</summary>
internal sealed record Departure(string Text) : SystemCall;

/// <summary>Reads what strace wrote. Calls of several threads overlap: a line may tell of a beginning, a later one of its end.</summary>
internal static partial class SystemCalls
{
    public const string Traced = "pwrite64,ftruncate,fsync,fdatasync,sendto,sendmsg,write,writev";

    public static List<SystemCall> Read(string path)
    {
        var calls = new List<SystemCall>();
        var syncing = new Dictionary<string, string>(); // thread → file
        foreach (var line in File.ReadLines(path, Encoding.Latin1))
        {
            if (Sync().Match(line) is { Success: true } sync)
            {
                calls.Add(new SyncBegins(Path.GetFileName(sync.Groups["file"].Value)));
                syncing[sync.Groups["thread"].Value] = Path.GetFileName(sync.Groups["file"].Value);
                if (line.EndsWith("= 0", StringComparison.Ordinal))
                    calls.Add(new SyncEnds(Path.GetFileName(sync.Groups["file"].Value)));
            }
            else if (SyncResumed().Match(line) is { Success: true } resumed)
            {
                calls.Add(new SyncEnds(syncing[resumed.Groups["thread"].Value]));
            }
            else if (Truncate().Match(line) is { Success: true } truncate)
            {
                calls.Add(new FileTruncate(Path.GetFileName(truncate.Groups["file"].Value), Number(truncate.Groups["length"].Value)));
            }
            else if (Write().Match(line) is { Success: true } write)
            {
                var data = Unescape(write.Groups["data"].Value);
                calls.Add(new FileWrite(Path.GetFileName(write.Groups["file"].Value), Number(write.Groups["offset"].Value), data));
            }
            else if (Send().IsMatch(line))
            {
                var parts = Quoted().Matches(line).Select(match => Encoding.Latin1.GetString(Unescape(match.Groups["data"].Value)));
                calls.Add(new Departure(string.Concat(parts)));
            }
        }

        return calls;
    }

    /// <summary>A C string literal's bytes.</summary>
    private static byte[] Unescape(string literal)
    {
        var bytes = new byte[literal.Length];
        var count = 0;
        for (var i = 0; i < literal.Length; i++)
        {
            if (literal[i] != '\\')
            {
                bytes[count++] = (byte)literal[i];
                continue;
            }

            i++;
            if (literal[i] is >= '0' and <= '7')
            {
                var value = 0;
                var end = Math.Min(i + 3, literal.Length);
                while (i < end && literal[i] is >= '0' and <= '7')
                    value = value * 8 + literal[i++] - '0';
                i--;
                bytes[count++] = (byte)value;
            }
            else
            {
                bytes[count++] = literal[i] switch { 'n' => 10, 't' => 9, 'r' => 13, 'v' => 11, 'f' => 12, var other => (byte)other };
            }
        }

        return bytes[..count];
    }

    private static long Number(string digits) => long.Parse(digits, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"^(?<thread>\d+) +f(data)?sync\(\d+<(?<file>[^>]*)>")]
    private static partial Regex Sync();

    [GeneratedRegex(@"^(?<thread>\d+) +<\.\.\. f(data)?sync resumed>.*= 0$")]
    private static partial Regex SyncResumed();

    [GeneratedRegex(@"^\d+ +ftruncate\(\d+<(?<file>[^>]*)>, (?<length>\d+)")]
    private static partial Regex Truncate();

    [GeneratedRegex("""^\d+ +pwrite64\(\d+<(?<file>[^>]*)>, "(?<data>(\\.|[^"\\])*)", \d+, (?<offset>\d+)""")]
    private static partial Regex Write();

    [GeneratedRegex(@"^\d+ +(sendto|sendmsg|write|writev)\(\d+<(socket|TCP)")]
    private static partial Regex Send();

    [GeneratedRegex("""
        "(?<data>(\\.|[^"\\])*)"
        """)]
    private static partial Regex Quoted();
}
