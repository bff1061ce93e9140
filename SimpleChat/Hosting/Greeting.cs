using System.Net;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using SimpleChat.Network;
using SimpleChat.Settings;
using SimpleChat.WebSockets;

namespace SimpleChat.Hosting;

/// <summary>Prints what the operator needs after the start: the addresses, a command that opens the chat, and warnings.</summary>
internal static class Greeting
{
    /// <summary>
    /// Prints a line for each address. In Development it warns on standard error if other machines can reach one. It uses a thread of its
    /// own, because a stopped terminal may block it for long.
    /// </summary>
    public static void Print(WebApplication app)
    {
        var complaint = app.Services.GetRequiredService<Capacity>().Complaint(app.Services.GetRequiredService<ChatOptions>());
        var environment = app.Environment; // the thread may outlive the host
        var addresses = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()?.Addresses.ToArray() ?? [];
        var open = environment.IsDevelopment() ? Array.FindAll(addresses, address => !IsLoopback(address)) : [];
        var printing = new Thread(() =>
        {
            if (complaint is not null)
                Console.WriteLine(complaint);
            foreach (var address in addresses)
                Console.WriteLine($"SimpleChat listens on {address}. Try: {WebSocketEndpoint.WscatLine(Reachable(address), environment)}");
            if (open.Length > 0)
                Console.Error.WriteLine(
                    "WARNING: this is Development, where ?user=alice makes anybody alice, and other machines can reach " +
                    $"{string.Join(", ", open)}. Listen on localhost, or set ASPNETCORE_ENVIRONMENT=Production.");
        })
        { IsBackground = true };
        printing.Start();
    }

    /// <summary>Returns an address that a client can use. A server on all addresses (0.0.0.0 or [::]) is on localhost too.</summary>
    private static string Reachable(string address) => Uri.TryCreate(address, UriKind.Absolute, out var uri)
        && IPAddress.TryParse(uri.DnsSafeHost, out var ip) && (ip.Equals(IPAddress.Any) || ip.Equals(IPAddress.IPv6Any))
            ? new UriBuilder(uri) { Host = "localhost" }.Uri.GetLeftPart(UriPartial.Authority)
            : address;

    /// <summary>Whether only this machine can reach an address. That includes Unix sockets.</summary>
    private static bool IsLoopback(string address) =>
        address.Contains("://unix:/", StringComparison.Ordinal) || Uri.TryCreate(address, UriKind.Absolute, out var uri) && uri.IsLoopback;
}
