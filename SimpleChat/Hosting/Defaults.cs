using Microsoft.Extensions.Configuration.Memory;

namespace SimpleChat.Hosting;

/// <summary>
/// The default settings, besides the defaults in <c>ChatOptions</c> and other options. They are in the program itself, so that they apply
/// wherever it is started from. A file beside the program overrides them; then the environment does, and then the command line.
/// </summary>
internal static class Defaults
{
    private static readonly Dictionary<string, string?> Everywhere = new()
    {
        ["ConnectionStrings:Chat"] = "Data Source=chat.db",
        ["Logging:CaptureScopes"] = "false", // a connection that stays for days would keep its scopes
        ["Logging:LogLevel:Default"] = "Information",
        ["Logging:LogLevel:Microsoft.AspNetCore"] = "Warning",
        ["Logging:LogLevel:Microsoft.Hosting.Lifetime"] = "Warning", // Program prints the line that matters
    };

    /// <summary>In Development the server believes any name in <c>?user=</c>. So it serves this machine alone.</summary>
    private static readonly Dictionary<string, string?> InDevelopment = new()
    {
        ["AllowedHosts"] = "localhost;127.0.0.1;[::1]",
        // dotnet user-jwts writes these two into appsettings.Development.json too, and needs that file.
        ["Authentication:Schemes:Bearer:ValidIssuer"] = "dotnet-user-jwts",
        ["Authentication:Schemes:Bearer:ValidAudiences:0"] = "http://localhost:5080",
        ["Logging:LogLevel:SimpleChat"] = "Debug",
    };

    /// <summary>
    /// Arguments that come before those of the command line. They make the server read files beside the program, and not those in the
    /// current folder. The database's path stays relative to the current folder, as with any program.
    /// </summary>
    public static string[] Arguments => [$"--{HostDefaults.ContentRootKey}={AppContext.BaseDirectory}"];

    /// <summary>Adds the defaults below all other sources of settings.</summary>
    /// <param name="wings">The Development defaults of the optional parts, such as webhooks.</param>
    public static void Add(WebApplicationBuilder builder, IEnumerable<KeyValuePair<string, string?>> wings)
    {
        var sources = ((IConfigurationBuilder)builder.Configuration).Sources;
        sources.Insert(0, new MemoryConfigurationSource { InitialData = Everywhere });
        if (builder.Environment.IsDevelopment())
            sources.Insert(1, new MemoryConfigurationSource { InitialData = InDevelopment.Concat(wings) });
    }
}
