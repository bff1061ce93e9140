using System.Diagnostics;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace SimpleChat.Tests;

/// <summary>A test that needs nginx, HAProxy, Caddy and a browser: where one is missing it is skipped; where CI=true it fails.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class ReverseProxyTheoryAttribute : TheoryAttribute
{
    public ReverseProxyTheoryAttribute()
    {
        if (Environment.GetEnvironmentVariable("CI") != "true")
            Skip = ReverseProxy.Missing ?? Browser.Missing;
    }
}

/// <summary>
/// A real proxy of Debian's with its file of deploy/, in front of a server. The file is used as it is, but for the port, the certificate,
/// the server's address and time-outs, which have to be in it.
/// </summary>
internal sealed class ReverseProxy : IAsyncDisposable
{
    /// <summary>The time-out in place of the 75 s of the files. A silent connection has to outlive it.</summary>
    public static readonly TimeSpan Timeout = TimeSpan.FromSeconds(5);

    private static readonly Dictionary<string, (string Program, string File)> Kinds = new()
    {
        ["nginx"] = ("/usr/sbin/nginx", "nginx.conf"),
        ["haproxy"] = ("/usr/sbin/haproxy", "haproxy.cfg"),
        ["caddy"] = ("/usr/bin/caddy", "Caddyfile"),
    };

    private readonly TempFolder _folder;
    private readonly Process _process;

    private ReverseProxy(Process process, Uri url, TempFolder folder) => (_process, Url, _folder) = (process, url, folder);

    /// <summary>What is not installed; null if all is there.</summary>
    public static string? Missing =>
        Kinds.Values.Select(kind => kind.Program).FirstOrDefault(program => !File.Exists(program)) is { } missing
            ? $"There is no {missing}: apt-get install nginx haproxy caddy."
            : null;

    /// <summary>Where the chat is for whoever is outside.</summary>
    public Uri Url { get; }

    /// <summary>The file of deploy/ for a proxy.</summary>
    public static string Read(string kind) => File.ReadAllText(Path.Combine(ArchitectureTests.Root, "deploy", Kinds[kind].File));

    /// <summary>Starts it, and waits until it listens.</summary>
    /// <param name="kind">nginx, haproxy or caddy.</param>
    /// <param name="server">Where the server is.</param>
    /// <param name="changes">Texts to replace in its file besides.</param>
    public static async Task<ReverseProxy> StartAsync(string kind, Uri server, params (string Old, string New)[] changes)
    {
        var folder = new TempFolder();
        var port = LoopbackPort.Free();
        WriteCertificate(folder);
        (string Old, string New)[] own = kind switch
        {
            "nginx" =>
            [
                ("listen 443 ssl", $"listen 127.0.0.1:{port} ssl"), ("chat.example.org;", "localhost;"),
                ("/etc/ssl/chat.example.org/", folder.File("") + "/"), ("75s", $"{Timeout.TotalSeconds}s"),
            ],
            "haproxy" =>
            [
                ("bind :443", $"bind 127.0.0.1:{port}"),
                ("/etc/ssl/chat.example.org/", folder.File("") + "/"), ("75s", $"{Timeout.TotalSeconds}s"),
            ],
            _ =>
            [
                ("\nchat.example.org {", "\n{\n\tadmin off\n\tauto_https disable_redirects\n}\n\n" +
                    $"https://localhost:{port} {{\n\ttls {folder.File("fullchain.pem")} {folder.File("privkey.pem")}"),
            ],
        };
        var text = Read(kind);
        foreach (var (old, replacement) in own.Append(("127.0.0.1:5080", server.Authority)).Concat(changes))
        {
            Assert.Contains(old, text, StringComparison.Ordinal);
            text = text.Replace(old, replacement, StringComparison.Ordinal);
        }

        await File.WriteAllTextAsync(folder.File("proxy.conf"), text);
        await File.WriteAllTextAsync(folder.File("nginx.conf"), $$"""
            daemon off; pid {{folder.File("nginx.pid")}}; error_log stderr; worker_processes 1;
            events { }
            http {
                access_log off; client_body_temp_path {{folder.File("body")}}; proxy_temp_path {{folder.File("proxy")}};
                fastcgi_temp_path {{folder.File("f")}}; uwsgi_temp_path {{folder.File("u")}}; scgi_temp_path {{folder.File("s")}};
                include {{folder.File("proxy.conf")}};
            }
            """);
        string[] arguments = kind switch
        {
            "nginx" => ["-e", "stderr", "-p", folder.File(""), "-c", folder.File("nginx.conf")],
            "haproxy" => ["-db", "-f", folder.File("proxy.conf")],
            _ => ["run", "--adapter", "caddyfile", "--config", folder.File("proxy.conf")],
        };
        var start = new ProcessStartInfo(Kinds[kind].Program, arguments) { RedirectStandardError = true, RedirectStandardOutput = true };
        start.Environment["HOME"] = start.Environment["XDG_DATA_HOME"] = start.Environment["XDG_CONFIG_HOME"] = folder.File("");
        var process = Process.Start(start)!;
        var said = process.StandardError.ReadToEndAsync();
        _ = process.StandardOutput.ReadToEndAsync();
        await Deadline.UntilAsync(async () =>
        {
            if (process.HasExited)
                throw new InvalidOperationException($"{kind} ended: {await said}");
            return await IsOpenAsync(port);
        }, $"{kind} that listens");
        return new ReverseProxy(process, new Uri($"https://localhost:{port}/simplechat/"), folder);
    }

    /// <summary>Whether a certificate is one that a proxy in a test has signed itself.</summary>
    public static bool IsItsOwn(object sender, X509Certificate? certificate, X509Chain? chain, SslPolicyErrors errors) =>
        certificate is { Subject: "CN=localhost", Issuer: "CN=localhost" };

    /// <summary>
    /// A client that takes its certificate. It takes no connection that the proxy may just be closing: a POST would not be sent again.
    /// </summary>
    public HttpClient NewClient() => new(new SocketsHttpHandler
    {
        AllowAutoRedirect = false,
        PooledConnectionLifetime = Timeout / 2,
        SslOptions = { RemoteCertificateValidationCallback = IsItsOwn },
    })
    { BaseAddress = Url };

    public async ValueTask DisposeAsync()
    {
        _process.Terminate();
        try
        {
            await _process.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(5));
        }
        catch (TimeoutException)
        {
            _process.Kill(entireProcessTree: true);
        }

        _process.Dispose();
        _folder.Dispose();
    }

    private static async Task<bool> IsOpenAsync(int port)
    {
        try
        {
            using var socket = new TcpClient();
            await socket.ConnectAsync(IPAddress.Loopback, port);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private static void WriteCertificate(TempFolder folder)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName("localhost");
        request.CertificateExtensions.Add(names.Build());
        var now = TimeProvider.System.GetUtcNow();
        using var certificate = request.CreateSelfSigned(now.AddDays(-1), now.AddDays(1));
        var (chain, secret) = (certificate.ExportCertificatePem() + "\n", key.ExportPkcs8PrivateKeyPem() + "\n");
        File.WriteAllText(folder.File("fullchain.pem"), chain);
        File.WriteAllText(folder.File("privkey.pem"), secret);
        File.WriteAllText(folder.File("chat.pem"), chain + secret);
    }
}
