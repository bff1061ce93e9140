using SimpleChat.Settings;
using SimpleChat.Storage;

namespace SimpleChat.Operations;

/// <summary>
/// What an operator can have done to the database instead of starting a server: <c>SimpleChat backup FILE</c> and
/// <c>SimpleChat erase USER</c>. A server may be running on it meanwhile. The settings are the server's.
/// </summary>
internal sealed record Command(string Name, string Argument)
{
    /// <summary>Finds the command with which the arguments begin, and takes it off them; null if there is none.</summary>
    /// <exception cref="StartException">Its argument is missing.</exception>
    public static Command? Take(ref string[] args)
    {
        if (args is not ["backup" or "erase", ..])
            return null;
        if (args.Length < 2 || args[1].StartsWith('-'))
            throw new StartException(
                $"Usage: SimpleChat {args[0]} {(args[0] == "backup" ? "FILE" : "USER")} [--ConnectionStrings:Chat=…]");
        var command = new Command(args[0], args[1]);
        args = args[2..];
        return command;
    }

    /// <summary>Does it, and prints one line about it.</summary>
    /// <returns>The exit code.</returns>
    /// <exception cref="StartException">It could not be done; the message says why.</exception>
    public async Task<int> RunAsync(IConfiguration configuration)
    {
        var address = DatabaseAddress.Parse(configuration.GetConnectionString("Chat"));
        if (!File.Exists(address.Path))
            throw new StartException($"There is no database {address.Path}. Set ConnectionStrings:Chat to the server's.");
        try
        {
            Console.WriteLine(Name == "backup" ? Backup.Make(address, Argument) : await Erasure.EraseAsync(address, Argument));
            return 0;
        }
        catch (Exception e) when (StorageFault.Is(e))
        {
            throw new StartException($"The database {address.Path} cannot be used: {StorageFault.Explain(e)}", e);
        }
    }
}
