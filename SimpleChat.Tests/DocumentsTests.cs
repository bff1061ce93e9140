using System.Diagnostics;
using System.Text.RegularExpressions;

namespace SimpleChat.Tests;

/// <summary>Nothing in the README, in docs/ and in the ladder's is untrue or untried.</summary>
public sealed partial class DocumentsTests
{
    public static TheoryData<string> Pages =>
    [
        .. Directory.GetFiles(ArchitectureTests.Root, "*.md")
            .Concat(Directory.GetFiles(Path.Combine(ArchitectureTests.Root, "docs"), "*.md", SearchOption.AllDirectories))
            .Append(Path.Combine(ArchitectureTests.Root, "ladder", "README.md"))
            .Select(page => Path.GetRelativePath(ArchitectureTests.Root, page)).Order(StringComparer.Ordinal),
    ];

    [Fact]
    public void The_front_door_is_short() =>
        Assert.InRange(File.ReadAllLines(Path.Combine(ArchitectureTests.Root, "README.md")).Length, 1, 169);

    [Theory]
    [MemberData(nameof(Pages))]
    public void Each_link_leads_somewhere(string page)
    {
        var folder = Path.GetDirectoryName(Path.Combine(ArchitectureTests.Root, page))!;
        var links = Link().Matches(Read(page)).Select(link => link.Groups[1].Value);
        foreach (var link in links.Where(link => !link.StartsWith("http", StringComparison.Ordinal)))
        {
            var target = Path.Combine(folder, link.Split('#')[0]);
            Assert.True(File.Exists(target) || Directory.Exists(target), $"{page} links to {link}.");
        }
    }

    [Theory]
    [MemberData(nameof(Pages))]
    public void Each_test_and_each_project_that_a_command_names_is_there(string page)
    {
        var tests = typeof(DocumentsTests).Assembly.GetTypes().Select(type => type.Name).Append("Category=Battery").ToHashSet();
        Assert.All(Filter().Matches(Read(page)), filter => Assert.Contains(filter.Groups[1].Value, tests));
        Assert.All(Project().Matches(Read(page)), project => Assert.True(
            Directory.Exists(Path.Combine(ArchitectureTests.Root, project.Groups[1].Value)),
            $"{page} names the project {project.Groups[1].Value}."));
    }

    [Fact]
    public void The_example_for_tests_is_the_one_that_is_tested()
    {
        var example = Example().Match(Read(Path.Combine("docs", "testing-your-app.md"))).Groups[1].Value;
        var tested = Read(Path.Combine("SimpleChat.Tests", "HostingExampleTests.cs"));
        Assert.Equal(Summary().Replace(tested, ""), example);
    }

    [Fact]
    public void Each_reason_for_a_refusal_and_each_line_of_the_log_is_explained_to_the_operator()
    {
        var sources = Directory.GetFiles(Path.Combine(ArchitectureTests.Root, "SimpleChat"), "*.cs", SearchOption.AllDirectories)
            .Where(file => !file.Contains($"{Path.DirectorySeparatorChar}obj{Path.DirectorySeparatorChar}", StringComparison.Ordinal))
            .Select(File.ReadAllText).ToList();
        var page = Read(Path.Combine("docs", "operating.md"));
        var reasons = sources.SelectMany(source => Reason().Matches(source)).Select(reason => reason.Groups["word"].Value).ToHashSet();
        Assert.Superset((HashSet<string>)["no_identity", "rate_limited", "foreign_origin", "no_request"], reasons);
        Assert.All(reasons, reason => Assert.Contains($"`{reason}`", page, StringComparison.Ordinal));
        var lines = sources.SelectMany(source => Line().Matches(source)).Select(line => line.Groups["text"].Value.Trim()).ToList();
        Assert.True(lines.Count > 12, $"Only {lines.Count} lines were found.");
        Assert.All(lines, line => Assert.Contains(line, page, StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_two_terminals_of_the_README_show_what_they_show_there()
    {
        await using var server = await ChatServer.StartNewAsync();
        Dictionary<string, ChatClient> terminals = [];
        var (user, frames) = ("", 0);
        foreach (Match line in Terminal().Matches(Read("README.md")))
        {
            if (line.Groups["user"] is { Success: true, Value: var connects })
            {
                terminals[user = connects] = await ChatClient.ConnectAsync(server.Url, user);
            }
            else if (line.Groups["sends"].Success)
            {
                await terminals[user].RawTextAsync(line.Groups["sends"].Value);
            }
            else if (line.Groups["stops"].Success)
            {
                await terminals["bob"].CloseAsync();
            }
            else
            {
                var (whose, shown) = line.Groups["sees"].Success
                    ? (user, line.Groups["sees"].Value)
                    : (line.Groups["whose"].Value.Contains("ob", StringComparison.Ordinal) ? "bob" : "alice", line.Groups["shows"].Value);
                var frame = shown.Contains("\"connected\"", StringComparison.Ordinal)
                    ? terminals[whose].Connected
                    : await terminals[whose].ReceiveAsync();
                Assert.Equal(Time().Replace(shown, "…"), Time().Replace($"{frame}", "…"));
                frames++;
            }
        }

        Assert.True(frames >= 9, $"Only {frames} frames were found.");
        foreach (var terminal in terminals.Values)
            await terminal.DisposeAsync();
    }

    [Fact]
    public async Task Each_call_over_HTTP_that_the_contract_shows_does_what_it_says()
    {
        await using var server = await new ChatServer { ["Chat:MessagesPerSecond"] = "0" }.StartAsync();
        var calls = Curl().Matches(Read(Path.Combine("docs", "protocol.md")));
        Assert.True(calls.Count >= 8, $"Only {calls.Count} calls were found.");
        foreach (Match call in calls)
        {
            var (arguments, shown) = (call.Groups[1].Value, call.Groups[2].Value.TrimEnd('\n'));
            var isStream = arguments.StartsWith("-N ", StringComparison.Ordinal); // it has no end: what is shown will do
            var here = arguments.Replace("localhost:5080", server.Url.Authority, StringComparison.Ordinal);
            var answer = await (isStream ? StreamAsync(here, lines: shown.Split('\n').Length) : CurlAsync(here));
            var expected = isStream ? shown : $"{shown}\n2xx".TrimStart('\n');
            Assert.Equal(Time().Replace(expected, "…"), Time().Replace(answer.TrimStart('\n'), "…"));
        }
    }

    private static async Task<string> CurlAsync(string arguments)
    {
        var line = $"curl -s -w '\\n%{{http_code}}' {arguments} | sed '$ s/^2..$/2xx/'";
        using var process = Shell(line);
        var answer = await process.StandardOutput.ReadToEndAsync().OrFail(line);
        return answer.TrimEnd('\n');
    }

    /// <summary>Takes so many lines, ends the call, and takes what else has come.</summary>
    private static async Task<string> StreamAsync(string arguments, int lines)
    {
        var line = $"exec curl -s {arguments}";
        using var process = Shell(line);
        var answer = "";
        for (var i = 0; i < lines && await process.StandardOutput.ReadLineAsync().OrFail(line) is { } next; i++)
            answer += $"{next}\n";
        process.Kill();
        answer += await process.StandardOutput.ReadToEndAsync().OrFail("the end of curl");
        return answer.TrimEnd('\n');
    }

    private static Process Shell(string line) =>
        Process.Start(new ProcessStartInfo("sh", ["-c", line]) { RedirectStandardOutput = true })!;

    private static string Read(string page) => File.ReadAllText(Path.Combine(ArchitectureTests.Root, page)).ReplaceLineEndings("\n");

    [GeneratedRegex(@"\]\(([^)]+)\)")]
    private static partial Regex Link();

    [GeneratedRegex(@"--filter ([\w=]+)")]
    private static partial Regex Filter();

    [GeneratedRegex(@"--project ([\w.]+)")]
    private static partial Regex Project();

    [GeneratedRegex(@"```csharp\n(.*?)```\n", RegexOptions.Singleline)]
    private static partial Regex Example();

    [GeneratedRegex(@"^/// <summary>.*</summary>\n", RegexOptions.Multiline)]
    private static partial Regex Summary();

    /// <summary>A word for the log and the metrics.</summary>
    [GeneratedRegex(@"(?:Reason = |StatusCodes\.\w+ => |Refusal \w+ = new\(|Close\(\w+, \w+, )""(?<word>[a-z_]+)""")]
    private static partial Regex Reason();

    /// <summary>The fixed part at a line's beginning, behind a name, of those that are logged by default.</summary>
    [GeneratedRegex(@"LoggerMessage\((?:EventId = )?\d+, (?:LogLevel\.(?!Debug)\w+,|Message =)\s*""(?:\{\w+\} )?(?<text>[^{""]+)")]
    private static partial Regex Line();

    /// <summary>What is typed into a terminal, or seen there; in the text between them too.</summary>
    [GeneratedRegex(@"^\$ npx -y wscat -c ""[^""]*user=(?<user>\w+)""|^> (?<sends>\{.*)|^< (?<sees>\{.*)|(?<stops>stop bob)|" +
        @"(?<whose>Bob's terminal shows|alice, if she is still connected, is told) `(?<shows>\{.*?\})`", RegexOptions.Multiline)]
    private static partial Regex Terminal();

    /// <summary>A call, and what it prints.</summary>
    [GeneratedRegex(@"^\$ curl (.+)\n((?:(?!\$ |```).*\n)*)", RegexOptions.Multiline)]
    private static partial Regex Curl();

    [GeneratedRegex(@"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")]
    private static partial Regex Time();
}
