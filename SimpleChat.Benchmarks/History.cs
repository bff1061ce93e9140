using System.Text;

namespace SimpleChat.Benchmarks;

/// <summary>
/// Pages of 50 out of everything that was ever said, one request after the other over one connection, each for another user than the one
/// before. The client's own share is in the figure.
/// </summary>
internal static class History
{
    /// <summary>Messages in each page.</summary>
    internal const int PageSize = 50;

    /// <summary>Requests of one kind in a round; as many before them warm up and don't count.</summary>
    private const int Requests = 500;

    /// <summary>How long requests took, in milliseconds: p50 and p99.</summary>
    internal sealed record Result(double Half, double Most);

    public static void Measure(Run run)
    {
        using var server = ServerProcess.Chat(run.ServerFolder, run.StoredDatabase);
        using var http = new HttpLine(server.Port);
        Page("newest of all conversations", user => $"/messages?user={ChatUser.Name(user)}&limit={PageSize}");
        Page("newest of one conversation",
            user => $"/messages?user={ChatUser.Name(user)}&with={StoredMessages.Friend(user)}&limit={PageSize}");
        Page(
            "middle of one conversation",
            user => $"/messages?user={ChatUser.Name(user)}&with={StoredMessages.Friend(user)}&limit={PageSize}" +
                $"&before={run.Options.Stored / 2}");
        Page(
            "newest of a rare conversation",
            user => $"/messages?user={ChatUser.Name(user)}&with={StoredMessages.Acquaintance(user)}&limit={PageSize}");

        void Page(string kind, Func<int, string> path)
        {
            var what = $"history page of {PageSize}, {kind}";
            var rounds = run.Rounds(what, () => Round(http, path));
            var note = $"p50 with the request's way there and back; p99 {Line.MedianOf(rounds.Select(round => round.Most)):0.00} ms; " +
                $"{run.Options.Stored / 1e6:0.##} million messages";
            run.Report.Add(new Line("history", what, "ms", [.. rounds.Select(round => round.Half)], Note: note).AtMost(1));
        }
    }

    /// <summary>A round of requests over one connection.</summary>
    /// <param name="http">The connection.</param>
    /// <param name="path">What a user asks for: a full page.</param>
    internal static Result Round(HttpLine http, Func<int, string> path)
    {
        var times = new List<double>();
        for (var i = 0; i < 2 * Requests; i++)
        {
            var start = Stopwatch.GetTimestamp();
            var page = http.Get(path(i % StoredMessages.Users));
            if (i >= Requests)
                times.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
            Check(page);
        }

        times.Sort();
        return new Result(times[times.Count / 2], times[times.Count * 99 / 100]);
    }

    /// <summary>A page has as many messages as asked for, ids rising.</summary>
    private static void Check(byte[] page)
    {
        var rest = page.AsSpan();
        var (count, last) = (0, 0L);
        for (var name = "\"id\":"u8; rest.IndexOf(name) is >= 0 and var at; count++)
        {
            rest = rest[(at + name.Length)..];
            var id = Wire.Number(rest);
            if (id <= last)
                throw new NotProvenException($"A page of history has id {id} after {last}.");
            last = id;
        }

        if (count != PageSize)
            throw new NotProvenException($"A page of history has {count} messages instead of {PageSize}: {Encoding.UTF8.GetString(page)}");
    }
}
