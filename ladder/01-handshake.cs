// Step 1, the handshake: RFC 6455 by hand. Try it: npx -y wscat -c ws://127.0.0.1:5080
// Still lost: everything but the short text frames of one client at a time.
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;

var url = new Uri(args.FirstOrDefault() ?? "http://127.0.0.1:5080");
using var listener = new TcpListener(IPAddress.Loopback, url.Port);
listener.Start();
Console.WriteLine($"Now listening on: http://{listener.LocalEndpoint}");

while (true)
{
    using var client = await listener.AcceptTcpClientAsync();
    using var stream = client.GetStream();
    try
    {
        // The client asks in HTTP. An empty line ends the request; of the others only the key is needed.
        var request = new StreamReader(stream, Encoding.ASCII);
        var key = "";
        while (await request.ReadLineAsync() is { Length: > 0 } line)
        {
            Console.WriteLine(line);
            if (line.StartsWith("Sec-WebSocket-Key: ", StringComparison.OrdinalIgnoreCase))
                key = line["Sec-WebSocket-Key: ".Length..];
        }

        // The key and a GUID from the RFC, hashed: it shows that this server speaks WebSocket, and nothing else.
#pragma warning disable CA5350 // SHA-1 is what the RFC says, and no secret hangs on it
        var hash = SHA1.HashData(Encoding.ASCII.GetBytes(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
        await stream.WriteAsync(Encoding.ASCII.GetBytes(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
            $"Sec-WebSocket-Accept: {Convert.ToBase64String(hash)}\r\n\r\n"));

        // A frame: one byte with its type (1 is text), one with its length, four of mask, and the payload.
        var header = new byte[6];
        while (await stream.ReadAtLeastAsync(header, 6, throwOnEndOfStream: false) == 6 && (header[0] & 0x0F) == 1)
        {
            var payload = new byte[header[1] & 0x7F];
            await stream.ReadExactlyAsync(payload);
            for (var i = 0; i < payload.Length; i++)
                payload[i] ^= header[2 + i % 4];
            Console.WriteLine($"{Convert.ToHexString(header)} {Encoding.UTF8.GetString(payload)}");

            // Back it goes. A server's frames have no mask.
            await stream.WriteAsync((byte[])[0x81, (byte)payload.Length, .. payload]);
        }
    }
    catch (IOException e)
    {
        Console.WriteLine($"The client is gone: {e.Message}");
    }
}
