using System.Globalization;
using System.Text;
using System.Text.Json;

namespace SimpleChat.Benchmarks;

/// <summary>One line of the table.</summary>
/// <param name="Mode">Which of the modes measured it.</param>
/// <param name="What">What was measured.</param>
/// <param name="Unit">What of, written behind the figure.</param>
/// <param name="Rounds">What each round came to.</param>
/// <param name="Goal">What is to be reached; empty if it is only reported.</param>
/// <param name="Reached">Whether it was; null if there is no goal, or no figure to hold against it in this run.</param>
/// <param name="OfLimit">The figure's share of the limit, where durability is what limits it.</param>
/// <param name="Load">The highest load of all rounds.</param>
/// <param name="Note">What else there is to say, below the table.</param>
internal sealed record Line(
    string Mode, string What, string Unit, double[] Rounds,
    string Goal = "", bool? Reached = null, double? OfLimit = null, Load? Load = null, string Note = "")
{
    public double Median => MedianOf(Rounds);

    public Line AtLeast(double goal) => this with { Goal = $"at least {goal:#,0.#}", Reached = Median >= goal };

    public Line AtMost(double goal) => this with { Goal = $"at most {goal:#,0.#}", Reached = Median <= goal };

    public static double MedianOf(IEnumerable<double> values)
    {
        var sorted = values.Order().ToArray();
        return (sorted[sorted.Length / 2] + sorted[(sorted.Length - 1) / 2]) / 2;
    }
}

/// <summary>The table as it grows, and at the end on the screen and as JSON.</summary>
internal sealed class Report
{
    private static readonly JsonSerializerOptions JsonLayout = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    private static readonly string[] Headings = ["what", "median", "min..max", "", "goal", "reached", "of limit", "server", "generator"];

    private readonly List<Line> _lines = [];

    public Line Add(Line line)
    {
        _lines.Add(line);
        Console.Error.WriteLine($"  {line.What}: {Figure(line.Median)} {line.Unit}");
        return line;
    }

    public string Table(Machine machine)
    {
        var rows = new List<string[]> { Headings };
        rows.AddRange(_lines.Select(line => new[]
        {
            line.What,
            Figure(line.Median),
            line.Rounds.Length > 1 ? $"{Figure(line.Rounds.Min())}..{Figure(line.Rounds.Max())}" : "",
            line.Unit,
            line.Goal,
            line.Reached switch { true => "yes", false => "no", null => line.Goal.Length > 0 ? "?" : "" },
            Percent(line.OfLimit),
            Percent(line.Load?.Server),
            Percent(line.Load?.Generator) + (line.Load is { GeneratorWasTheLimit: true } ? " !" : ""),
        }));
        var widths = Enumerable.Range(0, rows[0].Length).Select(column => rows.Max(row => row[column].Length)).ToArray();
        var table = new StringBuilder();
        foreach (var row in rows)
            table.AppendJoin("  ", row.Select(Align)).AppendLine();
        table.AppendLine();
        foreach (var line in _lines.Where(line => line.Note.Length > 0))
            table.AppendLine(CultureInfo.InvariantCulture, $"{line.What}: {line.Note}");
        if (_lines.Exists(line => line.Load is { GeneratorWasTheLimit: true }))
            table.AppendLine(CultureInfo.InvariantCulture,
                $"!: the generator used over {Percent(Load.Limit)} of a core: it may be the limit.");
        table.AppendLine("server, generator: highest load of the rounds, 100% is one core. limit: 1 / (1/relay + 1/storage).");
        table.AppendLine(CultureInfo.InvariantCulture, $"{machine.Processor}, {machine.Cores} cores, {machine.Pinning}; {machine.System};");
        table.Append(CultureInfo.InvariantCulture, $"{machine.Runtime}; SQLite {machine.Sqlite}; {machine.Disk}; {machine.Date}");
        return table.ToString();

        string Align(string cell, int column) => column is 1 or 2 or > 5 ? cell.PadLeft(widths[column]) : cell.PadRight(widths[column]);
    }

    public void WriteJson(string path, Machine machine) =>
        File.WriteAllText(path, JsonSerializer.Serialize(new { machine, lines = _lines }, JsonLayout) + "\n");

    private static string Figure(double value) =>
        value.ToString(value >= 100 ? "#,##0" : value >= 10 ? "0.0" : "0.00", CultureInfo.InvariantCulture);

    private static string Percent(double? share) => share is { } value ? value.ToString("0%", CultureInfo.InvariantCulture) : "";
}
