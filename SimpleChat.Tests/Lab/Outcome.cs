using System.Globalization;
using System.Text.Json;

namespace SimpleChat.Tests.Lab;

/// <summary>
/// What is promised of a run that has come to rest, out of its entries: which rows came and went, in what order, what was shown and
/// confirmed to whom, how connections ended. Neither times nor what may come in another order.
/// </summary>
internal static class Outcome
{
    /// <summary>A line for each thing that is promised. Verdicts are not compared: the player has waited for those that count.</summary>
    public static string Of(IEnumerable<JsonElement> entries)
    {
        var facts = new SortedDictionary<string, List<string>>(StringComparer.Ordinal);
        foreach (var entry in entries)
        {
            foreach (var (what, fact) in Facts(entry))
            {
                if (!facts.TryGetValue(what, out var all))
                    facts[what] = all = [];
                all.Add(fact);
            }
        }

        return string.Join('\n', facts.Select(fact => $"{fact.Key}: {string.Join(' ', fact.Value)}"));
    }

    /// <summary>
    /// Whether nothing is on its way any more: whoever has not left is connected and has an answer to all that he sent, and his inbox is
    /// empty. Before that, how much of what is promised stands in the record already is a matter of time.
    /// </summary>
    public static bool IsAtRest(IReadOnlyList<JsonElement> entries)
    {
        var tabs = new Dictionary<string, JsonElement>();
        var inbox = new HashSet<(string To, string Id)>();
        foreach (var entry in entries)
        {
            if (Text(entry, "kind") == "client")
                tabs[$"{Text(entry, "who")} {Text(entry, "tab")}"] = entry;
            if (Text(entry, "kind") != "rows" || Text(entry, "table") != "InboxDB")
                continue;
            inbox.UnionWith(entry.GetProperty("added").EnumerateArray().Select(row => (Text(row, "to"), Text(row, "id"))));
            inbox.ExceptWith(entry.GetProperty("gone").EnumerateArray().Select(row => (Text(row, "to"), Text(row, "id"))));
        }

        var here = tabs.Values.Where(tab => Text(tab, "state") != "left").ToArray();
        return here.All(tab => Text(tab, "state") == "open" && tab.GetProperty("outbox").GetArrayLength() == 0)
            && !inbox.Any(row => here.Any(tab => Text(tab, "who") == row.To));
    }

    private static IEnumerable<(string What, string Fact)> Facts(JsonElement entry)
    {
        switch (Text(entry, "kind"))
        {
            case "rows":
                var table = Text(entry, "table");
                foreach (var row in entry.GetProperty("added").EnumerateArray())
                    yield return ($"{table} added, {Text(row, "to")}", IdOf(row));
                foreach (var row in entry.GetProperty("gone").EnumerateArray())
                    yield return ($"{table} gone, {Text(row, "to")}", IdOf(row));
                break;
            case "screen" when Text(entry, "what") is "shown" or "repeat" or "sent" or "unsent":
                yield return ($"{Text(entry, "who")} {Text(entry, "tab")} {Text(entry, "what")}", Text(entry, "id") + Text(entry, "text"));
                break;
            case "frame" when Text(entry, "fate") == "lost":
                yield return ("lost", $"{Text(entry, "who")} {Text(entry, "what")}");
                break;
            case "line" when Text(entry, "code").Length > 0 && Text(entry, "by") == "server":
                yield return ($"{Text(entry, "who")} closed", Text(entry, "code"));
                break;
            case "server" when Text(entry, "state") is "up" or "killed" or "stopped":
                yield return ("server", Text(entry, "state") + Text(entry, "at"));
                break;
        }
    }

    /// <summary>The five lanes are written to at the same time: which one has which id is not promised.</summary>
    private static string IdOf(JsonElement row) => Text(row, "to") is "alice" or "bob" ? Text(row, "id") : "one";

    private static string Text(JsonElement entry, string name) =>
        entry.TryGetProperty(name, out var value) ? string.Create(CultureInfo.InvariantCulture, $"{value}") : "";
}
