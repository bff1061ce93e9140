using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace SimpleChat.Tests;

/// <summary>An HTTP/1.1 response as it came; of a repeated header the values are joined by a comma.</summary>
internal sealed record RawResponse(int Status, IReadOnlyDictionary<string, string> Headers, string Body)
{
    public string? this[string header] => Headers.GetValueOrDefault(header);

    public void AssertProblem(int status, string? code = null)
    {
        Assert.True(Status == status, $"Expected {status}, got {Status}: {Body}");
        Assert.StartsWith("application/problem+json", this["Content-Type"], StringComparison.Ordinal);
        var problem = Frame.Parse(Body);
        Assert.Equal(status, problem.Json.GetProperty("status").GetInt32());
        if (code is not null)
            Assert.Equal(code, problem.Code);
    }
}

/// <summary>A TCP connection to the server on which requests are written by hand.</summary>
internal sealed class RawHttp : IDisposable
{
    private readonly Socket _socket = new(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };

    private RawHttp()
    {
    }

    public Stream Stream { get; private set; } = Stream.Null;

    /// <param name="url">The server's.</param>
    /// <param name="receiveBuffer">Bytes that the kernel may hold for this end; null for its own choice.</param>
    /// <param name="from">This machine's address to connect from; null for any.</param>
    public static async Task<RawHttp> ConnectAsync(Uri url, int? receiveBuffer = null, IPAddress? from = null)
    {
        var connection = new RawHttp();
        if (receiveBuffer is { } size)
            connection._socket.ReceiveBufferSize = size;
        if (from is not null)
            connection._socket.Bind(new IPEndPoint(from, 0));
        await connection._socket.ConnectAsync(url.Host, url.Port).OrFail("a TCP connection");
        connection.Stream = new NetworkStream(connection._socket, ownsSocket: false);
        return connection;
    }

    /// <summary>One request on a connection of its own.</summary>
    public static async Task<RawResponse> AskAsync(Uri url, Handshake request)
    {
        using var connection = await ConnectAsync(url);
        return await connection.AskAsync(request.For(url));
    }

    public async Task<RawResponse> AskAsync(string request)
    {
        await Stream.WriteAsync(Encoding.Latin1.GetBytes(request));
        return await ResponseAsync();
    }

    /// <summary>The answer to a request that was written to <see cref="Stream"/>.</summary>
    public Task<RawResponse> ResponseAsync() => ReadResponseAsync().OrFail("a response");

    /// <summary>Cuts the connection with a reset.</summary>
    public void Reset()
    {
        _socket.LingerState = new LingerOption(true, 0);
        _socket.Close();
    }

    public void Dispose() => _socket.Dispose();

    private async Task<RawResponse> ReadResponseAsync()
    {
        var status = int.Parse((await ReadLineAsync()).Split(' ')[1], CultureInfo.InvariantCulture);
        var headers = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        while (await ReadLineAsync() is { Length: > 0 } line)
        {
            var colon = line.IndexOf(':', StringComparison.Ordinal);
            var (name, value) = (line[..colon], line[(colon + 1)..].Trim());
            headers[name] = headers.TryGetValue(name, out var before) ? $"{before}, {value}" : value;
        }

        if (status == 101)
            return new RawResponse(status, headers, "");
        var body = new MemoryStream();
        if (headers.TryGetValue("Content-Length", out var length))
        {
            await CopyAsync(body, int.Parse(length, CultureInfo.InvariantCulture));
        }
        else if (headers.GetValueOrDefault("Transfer-Encoding") == "chunked")
        {
            int chunk;
            do
            {
                chunk = int.Parse(await ReadLineAsync(), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
                await CopyAsync(body, chunk);
                await ReadLineAsync(); // behind the last, empty one too
            }
            while (chunk > 0);
        }

        return new RawResponse(status, headers, Encoding.UTF8.GetString(body.ToArray()));
    }

    private async Task CopyAsync(MemoryStream body, int count)
    {
        var bytes = new byte[count];
        await Stream.ReadExactlyAsync(bytes);
        body.Write(bytes);
    }

    /// <summary>Byte by byte, so that nothing is taken of what follows an upgrade.</summary>
    private async Task<string> ReadLineAsync()
    {
        var line = new StringBuilder();
        var one = new byte[1];
        while (true)
        {
            await Stream.ReadExactlyAsync(one);
            if (one[0] == '\n')
                return line.ToString().TrimEnd('\r');
            line.Append((char)one[0]);
        }
    }
}
