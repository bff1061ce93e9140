using Microsoft.Extensions.Configuration.Memory;

namespace SimpleChat.Hosting;

/// <summary>
/// The settings that hold where nobody says otherwise, besides those that <c>ChatOptions</c> and its like carry themselves. They are
/// the program's own, so that they hold wherever it is started from. A file beside the program, the environment and the command line come
/// after them, in this order.
/// </summary>
internal static class Defaults
{
    private static readonly Dictionary<string, string?> Everywhere = new()
    {
        ["ConnectionStrings:Chat"] = "Data Source=chat.db",
        ["Logging:LogLevel:Default"] = "Information",
        ["Logging:LogLevel:Microsoft.AspNetCore"] = "Warning",
        ["Logging:LogLevel:Microsoft.Hosting.Lifetime"] = "Warning", // Program prints the one line that matters
    };

    /// <summary>Development takes a name on trust. Hence it serves this machine alone.</summary>
    private static readonly Dictionary<string, string?> InDevelopment = new()
    {
        ["AllowedHosts"] = "localhost;127.0.0.1;[::1]",
        // dotnet user-jwts keeps these two in appsettings.Development.json as well, and needs the file.
        ["Authentication:Schemes:Bearer:ValidIssuer"] = "dotnet-user-jwts",
        ["Authentication:Schemes:Bearer:ValidAudiences:0"] = "http://localhost:5080",
        ["Logging:LogLevel:SimpleChat"] = "Debug",
    };

    /// <summary>
    /// Arguments before those of the command line: files beside the program count, never those of the folder it is started from.
    /// The database's path stays relative to that folder, as with any program.
    /// </summary>
    public static string[] Arguments => [$"--{HostDefaults.ContentRootKey}={AppContext.BaseDirectory}"];

    /// <summary>Puts them below all other sources.</summary>
    /// <param name="builder">The host's.</param>
    /// <param name="wings">What else holds in Development.</param>
    public static void Add(WebApplicationBuilder builder, IEnumerable<KeyValuePair<string, string?>> wings)
    {
        var sources = ((IConfigurationBuilder)builder.Configuration).Sources;
        sources.Insert(0, new MemoryConfigurationSource { InitialData = Everywhere });
        if (builder.Environment.IsDevelopment())
            sources.Insert(1, new MemoryConfigurationSource { InitialData = InDevelopment.Concat(wings) });
        builder.WebHost.UseStaticWebAssets(); // the page of a build that was not published is still in the project's folder
    }
}
