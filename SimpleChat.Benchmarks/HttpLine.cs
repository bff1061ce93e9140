using System.Net;
using System.Text;

namespace SimpleChat.Benchmarks;

/// <summary>One kept HTTP connection; each request blocks, so that no hop between threads is measured.</summary>
internal sealed class HttpLine(int port) : IDisposable
{
    private readonly HttpClient _client =
        new(new SocketsHttpHandler { UseProxy = false, UseCookies = false, ActivityHeadersPropagator = null })
        {
            BaseAddress = new Uri($"http://127.0.0.1:{port}"),
            Timeout = TimeSpan.FromSeconds(30),
        };

    /// <summary>The body of the answer.</summary>
    /// <exception cref="NotProvenException">Anything but 200.</exception>
    public byte[] Get(string path)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        using var response = _client.Send(request);
        using var body = new MemoryStream();
        response.Content.ReadAsStream().CopyTo(body);
        return response.StatusCode == HttpStatusCode.OK
            ? body.ToArray()
            : throw new NotProvenException($"GET {path}: {(int)response.StatusCode} {Encoding.UTF8.GetString(body.ToArray())}");
    }

    public void Dispose() => _client.Dispose();
}
