using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using SimpleChat.Lab;
using SimpleChat.Tests.Batteries;
using Xunit.Abstractions;

namespace SimpleChat.Tests.Lab;

/// <summary>The Lab itself: who may use it, how it starts and fails to, and that nothing of it stays behind.</summary>
[Trait("Category", "Lab")]
public sealed class LabTests(ITestOutputHelper output)
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
        """{"do":"http","who":"bob","method":"GET","path":"/inbox"}""", """{"do":"http","who":"alice","path":"/messages?with=bob"}""",
        """{"do":"server","what":"kill-at","point":"after-sent"}""", """{"do":"server","what":"kill-at","point":"before-row-goes"}""",
        """{"do":"fault","who":"bob","what":"garbage","kind":"binary"}""", """{"do":"ways","what":"start","rtt":50}""",
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
        await using var lab = await LabProcess.StartAsync();
        var up = await lab.Page.UntilAsync("""{"kind":"server","state":"up"}""");
        using var server = Process.GetProcessById(up.GetProperty("pid").GetInt32());
        var took = lab.Worked + server.TotalProcessorTime; // other tests run beside this one
        output.WriteLine($"{took.TotalSeconds:F1} s of work to start");
        Assert.True(took < TimeSpan.FromSeconds(5), $"The start took {took}.");
        Assert.Contains(server.Id, lab.Processes);
        Assert.NotEmpty(lab.Files);

        lab.Kill();
        await AssertNothingStaysAsync(lab);
    }

    /// <summary>Four seconds of it; ten minutes: <c>SECONDS=600 dotnet test --filter Whatever_is_clicked</c>.</summary>
    [Fact]
    public async Task Whatever_is_clicked_no_process_port_or_file_stays_behind_and_the_log_has_no_exception()
    {
        var random = new Random(Battery.Seed(output));
        var over = Stopwatch.StartNew();
        await using var lab = await LabProcess.StartAsync();
        await using (var player = lab.Player())
        {
            var clicks = new List<string>();
            try
            {
                for (; over.Elapsed < Battery.Part(TimeSpan.FromSeconds(4)); await lab.Page.HandledAsync())
                {
                    clicks.Add(Clicks[random.Next(Clicks.Length)]);
                    await player.ThrowAsync(Patterns.Parse(clicks[^1]), random);
                }
            }
            finally
            {
                output.WriteLine($"{clicks.Count} clicks, of which the last ones are:\n{string.Join('\n', clicks.TakeLast(10))}");
                output.WriteLine(string.Join('\n', lab.Log.TakeLast(40)));
            }

            // It still works.
            await lab.Page.FreshAsync();
            await player.DoAsync(Patterns.Parse("""{"as":"bob","connect":true}"""));
            await player.DoAsync(Patterns.Parse("""{"as":"alice","connect":true}"""));
            await player.DoAsync(Patterns.Parse("""{"as":"alice","send":"still there?"}"""));
            await lab.Page.UntilAsync("""{"kind":"screen","who":"bob","what":"shown"}""");
        }

        var cables = lab.Page.Hello.GetProperty("cables").EnumerateObject();
        int[] ports = [.. cables.Select(cable => cable.Value.GetInt32()), lab.Url.Port];
        Assert.Equal(0, await lab.StopAsync());
        await AssertNothingStaysAsync(lab);
        Assert.All(ports, port =>
        {
            using var free = new TcpListener(IPAddress.Loopback, port);
            free.Start();
        });
        Assert.DoesNotContain(lab.Log, line => line.Contains("Exception", StringComparison.Ordinal));
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

    private static async Task AssertNothingStaysAsync(LabProcess lab)
    {
        await Deadline.UntilAsync(() => Task.FromResult(lab.Processes is []), "no process of the Lab's");
        Assert.Empty(lab.Files);
    }

    private static string Configuration => AppContext.BaseDirectory.Contains("/Release/", StringComparison.Ordinal) ? "Release" : "Debug";
}
