namespace SimpleChat.Benchmarks;

/// <summary>From the start of the process, on a database that isn't there yet, to its first accepted WebSocket.</summary>
internal static class ColdStart
{
    private const int Starts = 5;

    public static void Measure(Run run)
    {
        const string what = "cold start to first WebSocket";
        Console.Error.WriteLine(what);
        var starts = new List<double>();
        for (var i = 0; i < Starts; i++)
        {
            using var server = run.StartServer();
            starts.Add(server.ColdStart.TotalMilliseconds);
        }

        run.Report.Add(new Line("coldstart", what, "ms", [.. starts], Note: "files in the system's cache, a new database").AtMost(400));
    }
}
