using SimpleChat.Network;
using SimpleChat.Operations;
using SimpleChat.Settings;

namespace SimpleChat.Hosting;

/// <summary>Runs a server from its command line to its exit code.</summary>
internal static class Server
{
    /// <summary>Starts the server and runs it until it is told to stop.</summary>
    /// <param name="errors">Where the line goes that says why it could not; null for standard error.</param>
    /// <param name="use">Adds what it serves; null for the chat.</param>
    /// <returns>0, or 1 after one line that says why it could not start or go on.</returns>
    public static async Task<int> RunAsync(
        string[] args, Action<WebApplicationBuilder> add, TextWriter? errors = null, Action<WebApplication>? use = null)
    {
        errors ??= Console.Error;
        if (Capacity.FirstLook() is { } tooFew)
        {
            errors.WriteLine(tooFew);
            return 1;
        }

        var isStarted = false;
        try
        {
            var command = Command.Take(ref args); // backup, erase
            var builder = WebApplication.CreateBuilder([.. Defaults.Arguments, .. args]);
            add(builder);
            if (command is not null)
                return await command.RunAsync(builder.Configuration);

            await using var app = builder.Build();
            (use ?? ChatApplication.UseChat)(app);

            await app.StartAsync();
            isStarted = true;
            Greeting.Print(app);
            await app.WaitForShutdownAsync();
            return 0;
        }
        catch (OperationCanceledException) when (!isStarted) // asked to stop while starting
        {
            return 0;
        }
        catch (Exception e) when (e is not HostAbortedException) // a tool that only builds the host stops us with it
        {
            errors.WriteLine(StartException.Explain(e, isStarted));
            return 1;
        }
    }
}
