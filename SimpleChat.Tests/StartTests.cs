using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text.Json;
using Microsoft.Data.Sqlite;
using SimpleChat.Tests.Batteries;

namespace SimpleChat.Tests;

/// <summary>Chapter "Settings": a start that cannot succeed ends with exit code 1 and one line that says why.</summary>
public sealed class StartTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_database_that_is_not_there_is_made()
    {
        await using var server = await new ChatProcess { DatabasePath = _folder.DatabasePath }.StartAsync();
        Assert.Equal(201, (await new HttpUser(server.Http, "alice").SendAsync("bob", "hi")).Status);
        Assert.True(File.Exists(_folder.DatabasePath));
        Assert.Empty(server.Errors);
    }

    [Theory]
    [InlineData("Chat:MaxMessageBytes", "many")]
    [InlineData("Chat:MaxMessageBytes", "0")]
    [InlineData("Chat:MaxMessageBytes", "-1")]
    [InlineData("Chat:MessagesPerSecond", "-1")]
    [InlineData("Chat:ConnectionsPerUser", "0")]
    [InlineData("Chat:MaxConnections", "0")]
    [InlineData("Chat:RetainDays", "-1")]
    [InlineData("Chat:KeepAliveInterval", "soon")]
    [InlineData("Chat:KeepAliveTimeout", "00:00:00")]
    [InlineData("Chat:MessageTimeout", "-00:00:01")]
    [InlineData("Chat:SendTimeout", "00:00:00")]
    [InlineData("Chat:AllowedOrigins:0", "chat.example.org")]
    public async Task A_setting_that_makes_no_sense_stops_it(string key, string value) =>
        await AssertRefusedAsync(key.Split(':')[1], (key, value));

    [Theory]
    [InlineData("")]
    [InlineData("nonsense")]
    [InlineData("Data Source=")]
    [InlineData("Data Source=:memory:")]
    public async Task A_connection_string_that_names_no_file_stops_it(string value) =>
        await AssertRefusedAsync("ConnectionStrings:Chat", ("ConnectionStrings:Chat", value));

    [Fact]
    public async Task A_setting_from_the_environment_counts()
    {
        await AssertRefusedAsync(
            new ChatProcess { DatabasePath = _folder.DatabasePath, Variables = { ["Chat__MaxConnections"] = "none" } }, "MaxConnections");
    }

    [Fact]
    public async Task A_folder_that_is_not_there_stops_it()
    {
        var path = Path.Combine(_folder.File("nowhere"), "chat.db");
        await AssertRefusedAsync(new ChatProcess { DatabasePath = path }, path);
    }

    [Theory]
    [InlineData(40)]
    [InlineData(100_000)]
    public async Task A_file_that_is_no_database_stops_it_and_stays_as_it_is(int length)
    {
        var garbage = new byte[length];
        new Random(7).NextBytes(garbage);
        await File.WriteAllBytesAsync(_folder.DatabasePath, garbage);
        await AssertRefusedAsync(new ChatProcess { DatabasePath = _folder.DatabasePath }, _folder.DatabasePath);
        Assert.Equal(garbage, await File.ReadAllBytesAsync(_folder.DatabasePath));
    }

    [Theory]
    [InlineData("CREATE TABLE Recipes (Name TEXT)", false)]
    [InlineData("CREATE TABLE Recipes (Name TEXT); PRAGMA user_version = 1", false)]
    [InlineData("PRAGMA journal_mode = wal; CREATE TABLE Recipes (Name TEXT)", false)]
    [InlineData("PRAGMA journal_mode = wal; CREATE TABLE Recipes (Name TEXT)", true)]
    [InlineData("CREATE TABLE Recipes (Name TEXT); BEGIN; PRAGMA cache_size = 1; INSERT INTO Recipes SELECT hex(zeroblob(100000))", true)]
    [InlineData("PRAGMA application_id = 1", false)]
    public async Task A_database_of_something_else_stops_it_and_stays_as_it_is_with_nothing_beside_it(string made, bool isKilled)
    {
        await MakeForeignAsync(made, isKilled);
        var before = Snapshot();
        Assert.Equal(isKilled, before.Count > 1); // its log or its journal holds what it did last
        await AssertRefusedAsync(new ChatProcess { DatabasePath = _folder.DatabasePath }, _folder.DatabasePath);
        Assert.Equal(before, Snapshot());
    }

    [Fact]
    public async Task A_database_of_a_newer_server_stops_it_and_stays_as_it_is()
    {
        await MakeAsync();
        Execute("PRAGMA user_version = 4711");
        var before = Snapshot();
        await AssertRefusedAsync(new ChatProcess { DatabasePath = _folder.DatabasePath }, "4711");
        Assert.Equal(before, Snapshot());
    }

    [Fact]
    public async Task A_port_that_is_taken_stops_it_with_one_line_whatever_had_begun_by_then()
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        var url = $"http://{taken.LocalEndpoint}";
        await AssertRefusedAsync(
            new ChatProcess { DatabasePath = _folder.DatabasePath, ["urls"] = url, ["Chat:RetainDays"] = "1" }, url);
    }

    [Theory]
    [InlineData("")]
    [InlineData("DISABLED")]
    public async Task Whatever_NET_is_told_about_locks_a_second_server_is_stopped_by_any_name_of_the_file(string locking)
    {
        if (!OperatingSystem.IsLinux())
            return;
        await using var first = await With(new ChatProcess { DatabasePath = _folder.DatabasePath }).StartAsync();
        await AssertRefusedAsync(With(new ChatProcess { DatabasePath = _folder.DatabasePath }), "in use by another server");
        var link = _folder.File("link.db");
        Assert.Null(Tool.Try("ln", _folder.DatabasePath, link));
        await AssertRefusedAsync(With(new ChatProcess { DatabasePath = link }), "in use by another server");
        File.Delete(_folder.DatabasePath + ".lock"); // by somebody who means well
        await AssertRefusedAsync(With(new ChatProcess { DatabasePath = _folder.DatabasePath }), "in use by another server");
        Assert.Equal(201, (await new HttpUser(first.Http, "alice").SendAsync("bob", "hi")).Status);

        ChatProcess With(ChatProcess server)
        {
            if (locking == "DISABLED")
                server.Variables["DOTNET_SYSTEM_IO_DISABLEFILELOCKING"] = "1";
            return server;
        }
    }

    [StraceFact]
    public async Task A_file_system_on_which_locks_keep_nobody_out_stops_it()
    {
        string[] tracer = [Strace.Command, "-f", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=flock", "-e", "inject=flock:retval=0"];
        await AssertRefusedAsync(new ChatProcess { DatabasePath = _folder.DatabasePath, Under = tracer }, "cannot be locked here");
        Assert.False(File.Exists(_folder.DatabasePath));
    }

    [Fact]
    public async Task A_stopped_server_leaves_no_lock_behind_even_if_a_program_that_is_just_being_started_has_copies_of_its_handles()
    {
        if (!OperatingSystem.IsLinux())
            return;
        await using var server = await new ChatServer().StartAsync();
        string[] names = [server.DatabasePath, server.DatabasePath + ".lock"];
        var copies = new DirectoryInfo("/proc/self/fd").EnumerateFileSystemInfos().Where(open => names.Contains(open.LinkTarget))
            .Select(open => Duplicate(int.Parse(open.Name, CultureInfo.InvariantCulture))).ToList();
        try
        {
            Assert.True(copies.Count >= names.Length);
            await server.RestartAsync();
        }
        finally
        {
            foreach (var copy in copies)
                _ = Close(copy);
        }
    }

    [Fact]
    public async Task Its_files_are_their_owners_alone_also_those_that_an_older_version_made()
    {
        if (OperatingSystem.IsWindows())
            return;
        string[] files =
            [_folder.DatabasePath, _folder.DatabasePath + "-wal", _folder.DatabasePath + "-shm", _folder.DatabasePath + ".lock"];
        await using (var server = await new ChatProcess { DatabasePath = _folder.DatabasePath }.StartAsync())
        {
            await new HttpUser(server.Http, "alice").SendAsync("bob", "hi");
            AssertOwnersAlone(files);
            server.Kill();
            await server.ExitAsync();
        }

        foreach (var file in files)
            File.SetUnixFileMode(file, File.GetUnixFileMode(file) | UnixFileMode.GroupRead | UnixFileMode.OtherRead);
        await using var next = await new ChatProcess { DatabasePath = _folder.DatabasePath }.StartAsync();
        AssertOwnersAlone(files);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_lock_that_is_a_symbolic_link_stops_it_and_nothing_is_written_through_it(bool isThere)
    {
        var target = _folder.File("target");
        if (isThere)
            await File.WriteAllTextAsync(target, "mine");
        File.CreateSymbolicLink(_folder.DatabasePath + ".lock", target);
        await AssertRefusedAsync(new ChatProcess { DatabasePath = _folder.DatabasePath }, "symbolic link");
        Assert.Equal(isThere ? "mine" : null, File.Exists(target) ? await File.ReadAllTextAsync(target) : null);
        Assert.False(File.Exists(_folder.DatabasePath));
    }

    [Fact]
    public async Task A_shell_that_holds_a_lock_stops_it()
    {
        await MakeAsync();
        await using var shell = new SqliteConnection($"Data Source={_folder.DatabasePath};Pooling=False");
        await shell.OpenAsync();
        await using var begin = shell.CreateCommand();
        begin.CommandText = "BEGIN IMMEDIATE";
        await begin.ExecuteNonQueryAsync();
        await AssertRefusedAsync(new ChatProcess { DatabasePath = _folder.DatabasePath }, "another process has locked it");
    }

    [Fact]
    public async Task Damaged_pages_under_messages_that_are_not_indexed_yet_stop_it()
    {
        await MakeAsync();
        await using (var file = File.OpenWrite(_folder.DatabasePath))
        {
            file.Position = file.Length / 4096 / 2 * 4096;
            await file.WriteAsync(Enumerable.Repeat((byte)0xFF, 20 * 4096).ToArray()); // a leaf is among them
        }

        await AssertRefusedAsync(new ChatProcess { DatabasePath = _folder.DatabasePath }, "damaged");
    }

    [Fact]
    public async Task A_truncated_older_copy_beside_a_newer_log_stops_it()
    {
        await MakeAsync();
        var older = await File.ReadAllBytesAsync(_folder.DatabasePath);
        await using (var server = await new ChatProcess { DatabasePath = _folder.DatabasePath, ["Chat:MessagesPerSecond"] = "0" }
            .StartAsync())
        {
            var alice = new HttpUser(server.Http, "alice");
            await Task.WhenAll(Enumerable.Range(0, 100).Select(i => alice.SendAsync("carol", $"{i} {new string('y', 5000)}")));
            server.Kill();
            await server.ExitAsync();
        }

        await File.WriteAllBytesAsync(_folder.DatabasePath, older[..(older.Length / 4096 / 2 * 4096)]);
        await AssertRefusedAsync(new ChatProcess { DatabasePath = _folder.DatabasePath }, _folder.DatabasePath);
    }

    [Fact]
    public async Task A_log_without_its_database_stops_it_and_stays()
    {
        await File.WriteAllTextAsync(_folder.DatabasePath + "-wal", "what was confirmed");
        var before = Snapshot();
        await AssertRefusedAsync(new ChatProcess { DatabasePath = _folder.DatabasePath }, "write-ahead log");
        Assert.Equal(before, Snapshot());
    }

    [Theory]
    [InlineData(0.9)]
    [InlineData(0.5)]
    [InlineData(0.1)]
    public async Task A_truncated_database_stops_it(double rest)
    {
        await MakeAsync();
        await using (var file = File.OpenWrite(_folder.DatabasePath))
            file.SetLength((long)(file.Length * rest) / 4096 * 4096);
        await AssertRefusedAsync(new ChatProcess { DatabasePath = _folder.DatabasePath }, _folder.DatabasePath);
    }

    [Fact]
    public async Task A_database_that_is_read_only_stops_it()
    {
        if (OperatingSystem.IsWindows())
            return;
        await MakeAsync();
        const UnixFileMode ReadOnly = UnixFileMode.UserRead | UnixFileMode.GroupRead | UnixFileMode.OtherRead;
        File.SetUnixFileMode(_folder.DatabasePath, ReadOnly); // which holds back everybody but root, and root is told too
        await AssertRefusedAsync(new ChatProcess { DatabasePath = _folder.DatabasePath }, _folder.DatabasePath);
        Assert.Equal(ReadOnly, File.GetUnixFileMode(_folder.DatabasePath));
    }

    [Fact]
    public async Task A_second_server_on_the_same_file_is_stopped_and_the_first_goes_on()
    {
        await using var first = await new ChatProcess { DatabasePath = _folder.DatabasePath }.StartAsync();
        var alice = new HttpUser(first.Http, "alice");
        await alice.SendAsync("bob", "one");
        await AssertRefusedAsync(new ChatProcess { DatabasePath = _folder.DatabasePath }, _folder.DatabasePath);
        var link = _folder.File("link.db");
        File.CreateSymbolicLink(link, _folder.DatabasePath);
        await AssertRefusedAsync(new ChatProcess { DatabasePath = link }, _folder.DatabasePath);
        Assert.Equal(201, (await alice.SendAsync("bob", "two")).Status);

        first.Kill();
        await first.ExitAsync();
        await using var third = await new ChatProcess { DatabasePath = _folder.DatabasePath }.StartAsync();
        Assert.Equal(["one", "two"], (await new HttpUser(third.Http, "bob").InboxAsync()).Select(message => message.Body));
    }

    [Fact]
    public async Task Outside_Development_it_does_not_start_without_a_way_to_know_its_users() =>
        await AssertRefusedAsync("Authentication:Schemes:Bearer", ("environment", "Production"));

    [Fact]
    public async Task With_a_way_to_know_its_users_it_starts_in_Production()
    {
        var jwt = new Jwt();
        await using var server = new ChatProcess { DatabasePath = _folder.DatabasePath, Environment = "Production" };
        foreach (var (key, value) in jwt.Settings)
            server[key] = value;
        await server.StartAsync();
        Assert.Equal(200, (await new HttpUser(server.Http, null, jwt.Token("alice")).GetAsync("/inbox")).Status);
        (await new HttpUser(server.Http, "alice").GetAsync("/inbox")).AssertProblem(401);
    }

    [Theory]
    [InlineData("Development")]
    [InlineData("Production")]
    public async Task Every_default_is_the_program_s_own_wherever_it_is_started_from(string environment)
    {
        var (jwt, foreign) = (new Jwt(), new Jwt());
        await File.WriteAllTextAsync(_folder.File("appsettings.json"), JsonSerializer.Serialize(
            foreign.SigningKey.Select((setting, i) => (Key: setting.Key.Replace(":0:", ":1:", StringComparison.Ordinal), setting.Value))
                .Append(("AllowedHosts", "*")).Append(("ConnectionStrings:Chat", "Data Source=foreign.db")).ToDictionary()));
        Directory.CreateDirectory(_folder.File("wwwroot"));
        await File.WriteAllTextAsync(Path.Combine(_folder.File("wwwroot"), "index.html"), "foreign");

        await using var server = new ChatProcess { DatabasePath = "", Environment = environment, WorkingDirectory = _folder.File("") };
        foreach (var (key, value) in jwt.Settings)
            server[key] = value;
        await server.StartAsync();
        Assert.True(File.Exists(_folder.DatabasePath)); // chat.db, as any program would make it
        Assert.Contains("<title>SimpleChat</title>", await server.Http.GetStringAsync("/"), StringComparison.Ordinal);
        Assert.Contains("class App", await server.Http.GetStringAsync("/app.js"), StringComparison.Ordinal);
        Assert.Equal(200, (await new HttpUser(server.Http, null, jwt.Token("alice")).GetAsync("/inbox")).Status);
        (await new HttpUser(server.Http, null, foreign.Token("alice")).GetAsync("/inbox")).AssertProblem(401);
        using var line = await RawHttp.ConnectAsync(server.Url);
        Assert.Equal(environment == "Development" ? 400 : 200,
            (await line.AskAsync("GET /alive HTTP/1.1\r\nHost: evil.example\r\n\r\n")).Status);
        Assert.Empty(server.Errors);
        Assert.DoesNotContain(server.Output, text => text.Contains("Microsoft.", StringComparison.Ordinal)); // the log's levels too
    }

    [Theory]
    [InlineData("{ \"Chat\": ", "appsettings.json")]
    [InlineData("nonsense", "appsettings.json")]
    [InlineData("{ \"Chat\": { \"MaxMessageBytes\": \"many\" } }", "MaxMessageBytes")]
    [InlineData("{ \"Chat\": { \"MaxMesageBytes\": 1024 } }", "MaxMesageBytes")]
    [InlineData("{ \"Logging\": { \"LogLevel\": { \"Default\": \"Loud\" } } }", "Loud")]
    public async Task A_settings_file_that_cannot_be_read_stops_it(string settings, string named)
    {
        await File.WriteAllTextAsync(_folder.File("appsettings.json"), settings);
        await AssertRefusedAsync(named, ("contentRoot", _folder.File("")));
    }

    [Theory]
    [InlineData("urls", "nonsense")]
    [InlineData("urls", "http://203.0.113.1:80")] // nobody's address here
    [InlineData("AllowedHosts", "http://chat.example.org")]
    [InlineData("AllowedHosts", ";")]
    [InlineData("AllowedHosts", "*")] // Development alone needs a list
    [InlineData("ForwardedHeaders:KnownProxies:0", "proxy.example.org")]
    [InlineData("ForwardedHeaders:KnownIPNetworks:0", "10.0.0.0/33")]
    [InlineData("ForwardedHeaders:KnownNetworks:0", "10.0.0.0/8")]
    [InlineData("Authentication:Schemes:Bearer:SigningKeys:0:Value", "no base64!")]
    [InlineData("Authentication:Schemes:Bearer:Authority", "http://login.example.org")]
    [InlineData("Authentication:Schemes:Bearer:Authority", "login.example.org")]
    [InlineData("Authentication:Schemes:Bearer:Audience", "simplechat")]
    [InlineData("Authentication:Schemes:Bearer:RequireHttpsMetadata", "maybe")]
    public async Task What_nobody_could_use_stops_it_in_Development_too(string key, string value) =>
        await AssertRefusedAsync(key == "urls" ? value == "nonsense" ? value : "--urls" : key.Split(':')[0], (key, value));

    [Theory]
    [InlineData("ValidIssuer", "ValidIssuer")]
    [InlineData("ValidAudiences:0", "ValidAudiences")]
    [InlineData("SigningKeys:0:Value", "SigningKeys")]
    [InlineData("SigningKeys:0:Issuer", "SigningKeys")]
    public async Task An_identity_set_up_in_which_nobody_could_sign_in_stops_it(string missing, string named)
    {
        var settings = new Jwt().Settings.Where(setting => !setting.Key.EndsWith(missing, StringComparison.Ordinal));
        await AssertRefusedAsync(named, [("environment", "Production"), .. settings.Select(setting => (setting.Key, setting.Value))]);
    }

    [Fact]
    public async Task An_authority_without_an_audience_stops_it() => await AssertRefusedAsync(
        "ValidAudiences", ("environment", "Production"), ("Authentication:Schemes:Bearer:Authority", "https://login.example.org"));

    [Theory]
    [InlineData("http://0.0.0.0:0")]
    [InlineData("http://[::]:0")]
    public async Task Development_that_others_can_reach_says_so_and_its_line_to_try_works_here(string url)
    {
        await using var server = await new ChatProcess { DatabasePath = _folder.DatabasePath, ["urls"] = url }.StartAsync();
        var port = server.Url.Port;
        Assert.Contains(server.Output,
            line => line.EndsWith($"npx -y wscat -c \"ws://localhost:{port}/chat?user=alice\"", StringComparison.Ordinal));
        await Deadline.UntilAsync(() => Task.FromResult(server.Errors.Count > 0), "a warning");
        Assert.Contains("WARNING: this is Development", Assert.Single(server.Errors), StringComparison.Ordinal);
    }

    /// <summary>
    /// The same for a start in this process, which takes a tenth of the time of another one: for what it refuses by its settings alone.
    /// </summary>
    private async Task AssertRefusedAsync(string named, params (string Key, string Value)[] settings)
    {
        string[] usual =
        [
            "--applicationName=SimpleChat", "--hostBuilder:reloadConfigOnChange=false", // a machine has few file watchers to give
            "--environment=Development", "--urls=http://127.0.0.1:0", $"--ConnectionStrings:Chat=Data Source={_folder.DatabasePath}",
        ];
        using var errors = new StringWriter();
        var server = Server.RunAsync(
            [.. usual, .. settings.Select(setting => $"--{setting.Key}={setting.Value}")], builder => builder.AddChat(), errors);
        Assert.Equal(1, await server.OrFail("its end"));
        Assert.Contains(named, Assert.Single(errors.ToString().TrimEnd().Split('\n')), StringComparison.Ordinal);
    }

    private static async Task AssertRefusedAsync(ChatProcess server, string named)
    {
        await using var ending = server;
        Assert.Equal(1, await server.RunAsync());
        Assert.Contains(named, Assert.Single(server.Errors), StringComparison.Ordinal);
        Assert.DoesNotContain(server.Output, line => line.TrimStart().StartsWith("at ", StringComparison.Ordinal)); // no stack trace
    }

    private static void AssertOwnersAlone(string[] files)
    {
        if (OperatingSystem.IsWindows())
            return;
        foreach (var file in files)
            Assert.Equal((file, UnixFileMode.UserRead | UnixFileMode.UserWrite), (file, File.GetUnixFileMode(file)));
    }

    /// <summary>What is in the folder, byte for byte.</summary>
    private SortedDictionary<string, string> Snapshot() =>
        new(Directory.GetFiles(Path.GetDirectoryName(_folder.DatabasePath)!).ToDictionary(
            file => file, file => Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(File.ReadAllBytes(file)))));

    /// <summary>Another application's database.</summary>
    /// <param name="sql">What it did.</param>
    /// <param name="isKilled">Whether what it did last is still in its log or its journal: a copy of its files is taken while it has them
    /// open.</param>
    private async Task MakeForeignAsync(string sql, bool isKilled)
    {
        var made = _folder.File("made");
        Directory.CreateDirectory(made);
        await using (var connection = new SqliteConnection($"Data Source={Path.Combine(made, "chat.db")};Pooling=False"))
        {
            await connection.OpenAsync();
            await using var command = connection.CreateCommand();
            command.CommandText = sql;
            await command.ExecuteNonQueryAsync();
            if (isKilled)
                Take();
        }

        if (!isKilled)
            Take();
        Directory.Delete(made, recursive: true);

        void Take()
        {
            foreach (var file in Directory.GetFiles(made))
                File.Copy(file, _folder.File(Path.GetFileName(file)));
        }
    }

    /// <summary>A database of some hundred pages, all in the one file.</summary>
    private async Task MakeAsync()
    {
        var unlimited = new ChatServer { InMemory = true, ["Chat:MessagesPerSecond"] = "0", ["Chat:RequestsPerUser"] = "1000" };
        await using (var server = await unlimited.StartAsync())
        {
            var alice = new HttpUser(server.Http, "alice");
            foreach (var some in Enumerable.Range(0, 200).Chunk(50)) // fewer at once than Chat:RequestsPerUser
                await Task.WhenAll(some.Select(i => alice.SendAsync("bob", $"{i} {new string('x', 5000)}")));
            await server.StopAsync();
            File.Copy(server.DatabasePath, _folder.DatabasePath);
            if (File.Exists(server.DatabasePath + "-wal"))
                File.Copy(server.DatabasePath + "-wal", _folder.DatabasePath + "-wal");
        }

        Execute("PRAGMA wal_checkpoint(TRUNCATE)");
        Assert.InRange(new FileInfo(_folder.DatabasePath).Length, 500_000, 5_000_000);
    }

    private void Execute(string sql)
    {
        using var connection = new SqliteConnection($"Data Source={_folder.DatabasePath};Pooling=False");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    [DllImport("libc", EntryPoint = "dup")]
    private static extern int Duplicate(int file);

    [DllImport("libc", EntryPoint = "close")]
    private static extern int Close(int file);
}
