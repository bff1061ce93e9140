using System.Net.Sockets;
using System.Text;

namespace SimpleChat.Tests;

/// <summary>A reverse proxy: strips a path, says so in <c>X-Forwarded-Prefix</c>, passes on the rest. One request a connection.</summary>
/// <param name="server">Where the server is.</param>
/// <param name="prefix">The path, like <c>/simplechat</c>.</param>
internal sealed class StrippingProxy(Uri server, string prefix) : Relay(server, prefix + "/")
{
    protected override async Task CarryAsync(
        NetworkStream outside, Func<CancellationToken, Task<NetworkStream>> connect, CancellationToken over)
    {
        var head = new StringBuilder();
        var one = new byte[1];
        while (!head.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal))
        {
            await outside.ReadExactlyAsync(one, over);
            head.Append((char)one[0]);
        }

        var request = head.ToString();
        if (!request.Contains($" {prefix}/", StringComparison.Ordinal))
            return; // not ours; the browser's favicon, say
        request = request.Replace($" {prefix}/", " /", StringComparison.Ordinal)
            .Replace("Connection: keep-alive", "Connection: close", StringComparison.Ordinal)
            .Replace("\r\n\r\n", $"\r\nX-Forwarded-Prefix: {prefix}\r\n\r\n", StringComparison.Ordinal);
        var inside = await connect(over);
        await inside.WriteAsync(Encoding.Latin1.GetBytes(request), over);
        await CarryAsync(outside, inside, over);
    }
}
