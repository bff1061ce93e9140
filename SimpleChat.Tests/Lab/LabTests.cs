using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using SimpleChat.Lab;
using SimpleChat.Tests.Batteries;
using Xunit.Abstractions;

namespace SimpleChat.Tests.Lab;

/// <summary>The Lab itself: who may use it, how it starts and fails to, and that nothing of it stays behind.</summary>
public sealed partial class LabTests(ITestOutputHelper output)
{
    private static readonly string[] Clicks =
    [
        """{"do":"fault","who":"bob","what":"cut"}""", """{"do":"fault","who":"bob","what":"plug"}""",
        """{"do":"fault","who":"bob","what":"hold"}""", """{"do":"fault","who":"bob","what":"release"}""",
        """{"do":"fault","who":"alice","what":"delay","ms":20}""", """{"do":"fault","who":"alice","what":"delay","ms":0}""",
        """{"do":"fault","who":"bob","what":"lose","frame":"ack"}""", """{"do":"fault","who":"alice","what":"lose","frame":"sent"}""",
        """{"do":"fault","who":"bob","what":"stop-reading"}""", """{"do":"fault","who":"bob","what":"read"}""",
        """{"do":"fault","who":"bob","what":"garbage","kind":"json"}""", """{"do":"fault","who":"bob","what":"garbage","kind":"rsv"}""",
        """{"do":"fault","who":"alice","what":"garbage","kind":"huge"}""",
        """{"do":"fault","who":"alice","what":"garbage","kind":"utf8"}""",
        """{"do":"server","what":"kill"}""", """{"do":"server","what":"start"}""", """{"do":"server","what":"start"}""",
        """{"do":"server","what":"stop"}""", """{"do":"server","what":"kill-at","point":"after-commit"}""",
        """{"do":"server","what":"kill-at","point":"before-second-row"}""", """{"do":"server","what":"slow-disk","ms":50}""",
        """{"do":"server","what":"slow-disk","ms":0}""", """{"do":"server","what":"full-disk","on":true}""",
        """{"do":"server","what":"full-disk","on":false}""", """{"do":"slow","ms":20}""", """{"do":"slow","ms":0}""",
        """{"do":"pause"}""", """{"do":"step"}""", """{"do":"resume"}""", """{"do":"fresh"}""",
        """{"do":"http","who":"bob","method":"GET","path":"/inbox"}""", """{"do":"ways","what":"start","rtt":50}""",
        """{"do":"ways","what":"send"}""", """{"do":"ways","what":"stop"}""",
        """{"as":"alice","send":"hi"}""", """{"as":"alice","send":"flood","times":20}""", """{"as":"bob","send":"hello"}""",
    ];

    [Fact]
    public async Task It_answers_to_this_machine_and_its_own_page_alone()
    {
        await using var lab = await TestLab.StartAsync();
        using var http = new HttpClient();
        Assert.Equal(HttpStatusCode.OK, await AskAsync("Host", lab.Url.Authority));
        Assert.Equal(HttpStatusCode.Forbidden, await AskAsync("Host", $"evil.example:{lab.Url.Port}"));
        Assert.Equal(HttpStatusCode.Forbidden, await AskAsync("Origin", "http://evil.example"));

        async Task<HttpStatusCode> AskAsync(string header, string value)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(lab.Url, "run.jsonl"));
            request.Headers.TryAddWithoutValidation(header, value);
            using var answer = await http.SendAsync(request);
            return answer.StatusCode;
        }
    }

    [Fact]
    public async Task A_start_that_fails_says_why_in_one_line()
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        var port = ((IPEndPoint)taken.LocalEndpoint).Port;
        Assert.Contains($"Port {port} is in use.", await FailAsync(port, null));
        Assert.Contains("There is no ladder/99-nothing.cs.", await FailAsync(0, "ladder/99-nothing.cs"));
        Assert.Contains("takes a C# file", await FailAsync(0, Path.Combine(ArchitectureTests.Root, "README.md")));

        static async Task<string> FailAsync(int port, string? server)
        {
            var e = await Assert.ThrowsAsync<LabException>(() => LabHost.StartAsync(port, server, _ => { }));
            Assert.DoesNotContain('\n', e.Message);
            return e.Message;
        }
    }

    [Fact]
    public async Task It_starts_quickly_and_when_it_is_killed_its_server_and_its_files_go_with_it()
    {
        var start = new ProcessStartInfo("dotnet", [typeof(LabHost).Assembly.Location, "--port", "0"]) { RedirectStandardOutput = true };
        start.Environment["DOTNET_EnableDiagnostics"] = "0";
        using var lab = Process.Start(start)!;
        string? line;
        do
            line = await lab.StandardOutput.ReadLineAsync().OrFail("the Lab's address");
        while (line is not null && !Address().IsMatch(line));
        await using var page = await LabPage.OpenAsync(new Uri(Address().Match(line!).Value));
        var up = await page.UntilAsync("""{"kind":"server","state":"up"}""");
        using var server = Process.GetProcessById(up.GetProperty("pid").GetInt32());
        var folder = FolderOf(server.Id);
        var took = lab.TotalProcessorTime + server.TotalProcessorTime; // other tests run beside this one
        output.WriteLine($"{took.TotalSeconds:F1} s of work to start");
        Assert.True(took < TimeSpan.FromSeconds(5), $"The start took {took}.");
        Assert.True(Directory.Exists(folder));

        lab.Kill();
        await server.WaitForExitAsync().OrFail("the server's end");
        await Deadline.UntilAsync(() => Task.FromResult(!Directory.Exists(folder)), "no folder");
    }

    [Fact]
    public async Task Whatever_is_clicked_nothing_stays_behind_and_the_log_has_no_exception()
    {
        var random = new Random(Battery.Seed(output));
        var over = Stopwatch.StartNew();
        List<string> log = [];
        Dictionary<int, string> folders = []; // by process id
        List<int> ports = [];
        await using (var lab = await TestLab.StartAsync())
        {
            var cables = lab.Page.Hello.GetProperty("cables").EnumerateObject();
            ports.AddRange(cables.Select(cable => cable.Value.GetInt32()).Append(lab.Url.Port));
            await using var player = lab.Player();
            while (over.Elapsed < Battery.Part(TimeSpan.FromSeconds(4)))
            {
                await player.ThrowAsync(Patterns.Parse(Clicks[random.Next(Clicks.Length)]), random);
                await lab.Page.HandledAsync();
                foreach (var entry in lab.Page.Entries().Where(entry => entry.TryGetProperty("pid", out _)))
                    folders.TryAdd(entry.GetProperty("pid").GetInt32(), FolderOf(entry.GetProperty("pid").GetInt32()));
            }

            // It still works.
            await lab.Page.FreshAsync();
            await player.DoAsync(Patterns.Parse("""{"as":"bob","connect":true}"""));
            await player.DoAsync(Patterns.Parse("""{"as":"alice","connect":true}"""));
            await player.DoAsync(Patterns.Parse("""{"as":"alice","send":"still there?"}"""));
            await lab.Page.UntilAsync("""{"kind":"screen","who":"bob","what":"shown"}""");
            log.AddRange(lab.Log);
        }

        Assert.DoesNotContain(log, line => line.Contains("Exception", StringComparison.Ordinal));
        Assert.All(folders, server => Assert.Equal("", FolderOf(server.Key)));
        Assert.All(folders, server => Assert.False(Directory.Exists(server.Value), $"{server.Value} is still there."));
        Assert.All(ports, port =>
        {
            using var free = new TcpListener(IPAddress.Loopback, port);
            free.Start();
        });
    }

    [Fact]
    public async Task What_is_published_has_nothing_of_the_Lab_and_the_server_does_not_name_it()
    {
        using var folder = new TempFolder();
        var start = new ProcessStartInfo("dotnet",
            ["publish", Path.Combine(ArchitectureTests.Root, "SimpleChat"), "--no-build", "-c", Configuration, "-o", folder.File("out")]);
        await Ladder.LadderProgram.RunAsync(start);
        Assert.Contains(folder.File("out/SimpleChat.dll"), Directory.GetFiles(folder.File("out")));
        Assert.DoesNotContain(Directory.GetFiles(folder.File("out"), "*", SearchOption.AllDirectories),
            file => Path.GetFileName(file).Contains("Lab", StringComparison.Ordinal));
    }

    /// <summary>Where a server's database is; empty if there is no such process any more.</summary>
    private static string FolderOf(int server)
    {
        try
        {
            return DatabaseFolder().Match(File.ReadAllText($"/proc/{server}/cmdline")).Value;
        }
        catch (IOException)
        {
            return "";
        }
    }

    private static string Configuration => AppContext.BaseDirectory.Contains("/Release/", StringComparison.Ordinal) ? "Release" : "Debug";

    [GeneratedRegex(@"(?<=The Lab is on )http://\S+")]
    private static partial Regex Address();

    [GeneratedRegex("(?<=Data Source=)[^\0]*(?=/chat.db)")]
    private static partial Regex DatabaseFolder();
}
