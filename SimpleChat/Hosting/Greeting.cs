using System.Net;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using SimpleChat.Network;
using SimpleChat.Settings;
using SimpleChat.WebSockets;

namespace SimpleChat.Hosting;

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
                Console.WriteLine($"SimpleChat listens on {address}. Try: {WebSocketEndpoint.WscatLine(Reachable(address), environment)}");
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

    /// <summary>An address that a client can use. Who listens on all, 0.0.0.0 or [::], listens on localhost too.</summary>
    private static string Reachable(string address) => Uri.TryCreate(address, UriKind.Absolute, out var uri)
        && IPAddress.TryParse(uri.DnsSafeHost, out var ip) && (ip.Equals(IPAddress.Any) || ip.Equals(IPAddress.IPv6Any))
            ? new UriBuilder(uri) { Host = "localhost" }.Uri.GetLeftPart(UriPartial.Authority)
            : address;

    /// <summary>Whether only this machine can reach an address; a Unix socket counts.</summary>
    private static bool IsLoopback(string address) =>
        address.Contains("://unix:/", StringComparison.Ordinal) || Uri.TryCreate(address, UriKind.Absolute, out var uri) && uri.IsLoopback;
}
