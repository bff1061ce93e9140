using System.Net.Sockets;
using System.Text;

namespace SimpleChat.Tests;

/// <summary>A test of the published program: without one it is skipped, and says so; where CI=true it fails instead.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class PublishedFactAttribute : FactAttribute
{
    public PublishedFactAttribute()
    {
        if (Environment.GetEnvironmentVariable("CI") != "true" && PublishTests.Folder is null)
            Skip = "Nothing is published: dotnet publish SimpleChat -c Release -o /tmp/chat, then PUBLISHED=/tmp/chat dotnet test.";
    }
}

/// <summary>What <c>dotnet publish</c> makes: it starts from anywhere, and tells nothing of the machine that built it.</summary>
public sealed class PublishTests : IDisposable
{
    private readonly TempFolder _folder = new();

    /// <summary>Where it is: the environment variable PUBLISHED.</summary>
    public static string? Folder => Environment.GetEnvironmentVariable("PUBLISHED");

    public void Dispose() => _folder.Dispose();

    [PublishedFact]
    public async Task It_serves_the_page_and_the_chat_from_whatever_folder_it_is_started_in()
    {
        await using var server = await new ChatProcess
        {
            DatabasePath = _folder.DatabasePath,
            ProgramFolder = Folder!,
            WorkingDirectory = Path.GetPathRoot(Folder)!,
        }.StartAsync();
        Assert.Contains("<title>SimpleChat</title>", await server.Http.GetStringAsync("/"), StringComparison.Ordinal);
        Assert.Contains("class App", await server.Http.GetStringAsync("/app.js"), StringComparison.Ordinal);
        Assert.Equal(201, (await new HttpUser(server.Http, "alice").SendAsync("bob", "hi")).Status);
        await using var bob = await ChatClient.ConnectAsync(server.Url, "bob");
        Assert.Equal("hi", (await bob.ExpectAsync("message")).Body);
        server.Terminate();
        Assert.Equal(0, await server.ExitAsync());
    }

    [PublishedFact]
    public void There_are_no_symbols_and_no_paths_of_the_machine_that_built_it()
    {
        Assert.Empty(Directory.GetFiles(Folder!, "*.pdb", SearchOption.AllDirectories));
        Assert.Empty(Directory.GetFiles(Folder!, "SimpleChat*.xml", SearchOption.AllDirectories));
        foreach (var file in Directory.GetFiles(Folder!, "*", SearchOption.AllDirectories))
        {
            var bytes = File.ReadAllBytes(file);
            foreach (var encoding in new[] { Encoding.UTF8, Encoding.Unicode })
                Assert.True(bytes.AsSpan().IndexOf(encoding.GetBytes(ArchitectureTests.Root)) < 0, file);
        }
    }

    [PublishedFact]
    public async Task It_tells_systemd_when_it_listens_and_when_it_begins_to_stop()
    {
        using var notices = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        notices.Bind(new UnixDomainSocketEndPoint(_folder.File("notify")));
        await using var server = new ChatProcess
        {
            DatabasePath = _folder.DatabasePath,
            ProgramFolder = Folder!,
            // A program speaks to systemd if that is the name of its parent; this one passes on SIGTERM.
            Under = [_folder.File("systemd"), "-c", "trap 'kill $!' TERM; \"$@\" & wait; wait $!", "sh"],
        };
        File.Copy("/bin/sh", _folder.File("systemd"));
        server.Variables["NOTIFY_SOCKET"] = _folder.File("notify");
        await server.StartAsync();
        Assert.Contains("READY=1", await NextAsync(), StringComparison.Ordinal);
        server.Terminate();
        Assert.Contains("STOPPING=1", await NextAsync(), StringComparison.Ordinal);
        Assert.Equal(0, await server.ExitAsync());

        async Task<string> NextAsync()
        {
            var buffer = new byte[1024];
            return Encoding.ASCII.GetString(buffer, 0, await notices.ReceiveAsync(buffer).OrFail("a notice"));
        }
    }
}
