namespace SimpleChat.Lab;

/// <summary>The Lab: the real server, and a cable that one can cut.</summary>
internal static class Program
{
    private const int Port = 5050;

    private const string Usage = "Usage: dotnet run --project SimpleChat.Lab [-- [--port 5050] [--server ladder/05-inbox.cs]]";

    /// <summary>Serves the page until Ctrl+C.</summary>
    /// <returns>1 if it could not start.</returns>
    public static async Task<int> Main(string[] args)
    {
        TaskScheduler.UnobservedTaskException += (_, fault) => Console.Error.WriteLine(fault.Exception); // nothing fails in silence
        try
        {
            var (port, server) = Read(args);
            await using var lab = await LabHost.StartAsync(port, server, line => Console.WriteLine($"  server | {line}"));
            Console.WriteLine($"The Lab is on {lab.Url}");
            await lab.WaitAsync();
            return 0;
        }
        catch (LabException e)
        {
            await Console.Error.WriteLineAsync(e.Message);
            return 1;
        }
    }

    private static (int Port, string? Server) Read(string[] args)
    {
        var (port, server) = (Port, (string?)null);
        for (var i = 0; i < args.Length; i += 2)
        {
            switch (args[i], args.ElementAtOrDefault(i + 1))
            {
                case ("--port", { } value) when ushort.TryParse(value, out var number):
                    port = number;
                    break;
                case ("--server", { } value):
                    server = value;
                    break;
                default:
                    throw new LabException(Usage);
            }
        }

        return (port, server);
    }
}
