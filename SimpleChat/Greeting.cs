using System.Net;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;

namespace SimpleChat;

/// <summary>What the server says when it has started: where it listens, a line that opens the chat, and warnings.</summary>
internal static class Greeting
{
    /// <summary>
    /// Prints a line for each address. In Development, others that can reach one are warned of on standard error. On a thread of its own,
    /// which a terminal that is stopped may hold as long as it likes.
    /// </summary>
    public static void Print(WebApplication app)
    {
        var complaint = app.Services.GetRequiredService<Capacity>().Complaint(app.Services.GetRequiredService<ChatOptions>());
        var environment = app.Environment; // the thread may go on when the host is gone
        var addresses = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()?.Addresses.ToArray() ?? [];
        var open = environment.IsDevelopment() ? Array.FindAll(addresses, address => !IsLoopback(address)) : [];
        var printing = new Thread(() =>
        {
            if (complaint is not null)
                Console.WriteLine(complaint);
            foreach (var address in addresses)
                Console.WriteLine($"SimpleChat listens on {address}. Try: {WscatLine(Reachable(address), environment)}");
            if (open.Length > 0)
            {
                Console.Error.WriteLine(
                    "WARNING: this is Development, where ?user=alice makes anybody alice, and other machines can reach " +
                    $"{string.Join(", ", open)}. Listen on localhost, or set ASPNETCORE_ENVIRONMENT=Production.");
            }
        })
        { IsBackground = true };
        printing.Start();
    }

    /// <summary>A line ready to paste that opens the chat: in Development as alice, elsewhere with a token.</summary>
    /// <param name="address">The server's http or https address.</param>
    /// <param name="environment">The server's.</param>
    public static string WscatLine(string address, IHostEnvironment environment)
    {
        var chat = string.Concat("ws", address.AsSpan("http".Length)).TrimEnd('/') + "/chat";
        return environment.IsDevelopment()
            ? $"npx wscat -c \"{chat}?user=alice\""
            : $"npx wscat -c {chat} -H \"Authorization: Bearer $TOKEN\"";
    }

    /// <summary>An address that a client can use. Who listens on all, 0.0.0.0 or [::], listens on localhost too.</summary>
    private static string Reachable(string address) => Uri.TryCreate(address, UriKind.Absolute, out var uri)
        && IPAddress.TryParse(uri.DnsSafeHost, out var ip) && (ip.Equals(IPAddress.Any) || ip.Equals(IPAddress.IPv6Any))
            ? new UriBuilder(uri) { Host = "localhost" }.Uri.GetLeftPart(UriPartial.Authority)
            : address;

    /// <summary>Whether only this machine can reach an address; a Unix socket counts.</summary>
    private static bool IsLoopback(string address) =>
        address.Contains("://unix:/", StringComparison.Ordinal) || Uri.TryCreate(address, UriKind.Absolute, out var uri) && uri.IsLoopback;
}
