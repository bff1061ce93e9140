using System.Formats.Tar;
using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Logging;

namespace SimpleChat.Tests;

/// <summary>The container image, built into an archive on a base image of our own, as no registry is at hand; it is not run.</summary>
public sealed class ContainerTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [PublishedFact]
    public async Task The_image_is_not_roots_keeps_its_data_in_a_volume_and_has_no_symbols()
    {
        await using var registry = await Registry.StartAsync();
        var archive = _folder.File("image.tar");
        string[] arguments =
        [
            // Of the build that was published: other tests use what lies in obj/ meanwhile.
            "publish", "SimpleChat", "-c", "Release", "--no-build", "-t:PublishContainer", "-v", "q", "--nologo",
            "-p:ContainerRuntimeIdentifier=linux-x64", $"-p:ContainerBaseImage={registry.Name}", $"-p:ContainerArchiveOutputPath={archive}",
        ];
        var (code, said) = await Tool.RunAsync(
            new("dotnet", arguments) { WorkingDirectory = ArchitectureTests.Root }, patience: 4 * Deadline.Time);
        Assert.True(code == 0, said);

        await using var whole = File.OpenRead(archive);
        var files = await ReadAsync(whole);
        using var manifest = JsonDocument.Parse(files["manifest.json"]);
        using var image = JsonDocument.Parse(files[manifest.RootElement[0].GetProperty("Config").GetString()!]);
        var config = image.RootElement.GetProperty("config");
        Assert.Equal("1654", config.GetProperty("User").GetString());
        Assert.Contains("ConnectionStrings__Chat=Data Source=/data/chat.db",
            config.GetProperty("Env").EnumerateArray().Select(variable => variable.GetString()));
        Assert.True(config.GetProperty("ExposedPorts").TryGetProperty("8080/tcp", out _));
        var last = manifest.RootElement[0].GetProperty("Layers").EnumerateArray().Last().GetString()!;
        await using var layer = new GZipStream(new MemoryStream(files[last]), CompressionMode.Decompress);
        var program = await ReadAsync(layer);
        Assert.Contains("app/SimpleChat.dll", program.Keys);
        Assert.True(program["app/SimpleChat.dll"].AsSpan().IndexOf("<title>SimpleChat</title>"u8) > 0, "The page is not in the program.");
        Assert.DoesNotContain(program.Keys, name => name.EndsWith(".pdb", StringComparison.Ordinal));
    }

    private static async Task<Dictionary<string, byte[]>> ReadAsync(Stream archive)
    {
        await using var tar = new TarReader(archive);
        var files = new Dictionary<string, byte[]>();
        while (await tar.GetNextEntryAsync(copyData: true) is { } entry)
        {
            using var bytes = new MemoryStream();
            if (entry.DataStream is not null)
                await entry.DataStream.CopyToAsync(bytes);
            files[entry.Name.TrimStart('/')] = bytes.ToArray();
        }

        return files;
    }

    /// <summary>Has one image, whose one layer is empty (https://github.com/opencontainers/distribution-spec).</summary>
    private sealed class Registry : IAsyncDisposable
    {
        private readonly WebApplication _app;
        private readonly Dictionary<string, (string Type, byte[] Bytes)> _blobs = [];

        private Registry()
        {
            var layer = Tar();
            using var zipped = new MemoryStream();
            using (var zip = new GZipStream(zipped, CompressionMode.Compress, leaveOpen: true))
                zip.Write(layer);
            const string Docker = "application/vnd.docker.";
            var (layerDigest, layerSize) = Add(Docker + "image.rootfs.diff.tar.gzip", zipped.ToArray());
            var config = JsonSerializer.Serialize(new
            {
                architecture = "amd64",
                os = "linux",
                config = new { WorkingDir = "/" },
                rootfs = new { type = "layers", diff_ids = new[] { Digest(layer) } },
                history = Array.Empty<object>(),
            });
            var (configDigest, configSize) = Add(Docker + "container.image.v1+json", Encoding.UTF8.GetBytes(config));
            var manifest = JsonSerializer.SerializeToUtf8Bytes(new
            {
                schemaVersion = 2,
                mediaType = Docker + "distribution.manifest.v2+json",
                config = new { mediaType = Docker + "container.image.v1+json", size = configSize, digest = configDigest },
                layers = new[] { new { mediaType = Docker + "image.rootfs.diff.tar.gzip", size = layerSize, digest = layerDigest } },
            });
            Add(Docker + "distribution.manifest.v2+json", manifest);
            _blobs["latest"] = (Docker + "distribution.manifest.v2+json", manifest);

            var builder = WebApplication.CreateSlimBuilder();
            builder.Logging.ClearProviders();
            builder.WebHost.UseUrls("http://127.0.0.1:0");
            _app = builder.Build();
            _app.Run(async context =>
            {
                if (!_blobs.TryGetValue(context.Request.Path.Value!.Split('/')[^1], out var blob))
                {
                    context.Response.StatusCode = context.Request.Path == "/v2/" ? 200 : 404;
                    return;
                }

                context.Response.ContentType = blob.Type;
                context.Response.Headers["Docker-Content-Digest"] = Digest(blob.Bytes);
                await context.Response.Body.WriteAsync(blob.Bytes);
            });
        }

        public string Name => $"localhost:{new Uri(_app.Urls.Single()).Port}/base:latest";

        public static async Task<Registry> StartAsync()
        {
            var registry = new Registry();
            await registry._app.StartAsync();
            return registry;
        }

        public ValueTask DisposeAsync() => _app.DisposeAsync();

        private static byte[] Tar()
        {
            using var bytes = new MemoryStream();
            using (var tar = new TarWriter(bytes, leaveOpen: true))
                tar.WriteEntry(new PaxTarEntry(TarEntryType.Directory, "tmp"));
            return bytes.ToArray();
        }

        private static string Digest(byte[] bytes) => "sha256:" + Convert.ToHexStringLower(SHA256.HashData(bytes));

        private (string Digest, int Size) Add(string type, byte[] bytes)
        {
            _blobs[Digest(bytes)] = (type, bytes);
            return (Digest(bytes), bytes.Length);
        }
    }
}
