using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace SimpleChat.Tests;

/// <summary>The house, held to its plan. A folder is a namespace; "" is the root, which is the chat.</summary>
public sealed partial class ArchitectureTests
{
    private const string Root_ = "";

    /// <summary>Which folders each folder may name. None is exempt but the one that puts the server together.</summary>
    private static readonly Dictionary<string, string[]> MayName = new()
    {
        ["Settings"] = [],
        ["Monitoring"] = [],
        ["Wire"] = [],
        ["Limits"] = ["Settings"],
        ["Queues"] = ["Limits", "Settings", "Wire"],
        ["Network"] = ["Monitoring", "Settings"],
        ["Identity"] = ["Settings"],
        ["Storage.Files"] = ["Settings"],
        ["Storage"] = ["Limits", "Monitoring", "Settings", "Storage.Files", "Wire"],
        [Root_] = ["Limits", "Monitoring", "Queues", "Settings", "Storage", "Wire"],
        ["Http"] = [Root_, "Identity", "Limits", "Monitoring", "Network", "Settings", "Storage", "Wire"],
        ["WebSockets"] = [Root_, "Http", "Identity", "Limits", "Monitoring", "Network", "Queues", "Settings", "Wire"],
        ["LongPolling"] = [Root_, "Http", "Network", "Settings", "Storage", "Wire"],
        ["ServerSentEvents"] = [Root_, "Http", "Identity", "Monitoring", "Network", "Settings", "Wire"],
        ["Operations"] = ["Settings", "Storage", "Storage.Files", "Wire"],
        ["Webhooks"] = [Root_, "Http", "Limits", "Settings", "Storage", "Wire"],
    };

    /// <summary>What the root may name of Storage: its door.</summary>
    private static readonly string[] Door = ["Writer", "Write", "ITransaction", "PendingMessage", "IMessageReader", "Page", "StorageFault"];

    /// <summary>Files that may be longer than the others, and why.</summary>
    private static readonly Dictionary<string, string> MayBeLong = new()
    {
        [Path.Combine("Storage", "Writer.cs")] =
            "Group commit, and what happens when a commit fails: one thing cannot be read without the other.",
    };

    private static readonly Type[] Types =
        [.. typeof(Chat).Assembly.GetTypes().Where(type => type.Namespace?.StartsWith("SimpleChat", StringComparison.Ordinal) == true)];

    /// <summary>Types of the root that are words rather than the chat: they stand in Message.cs, and every folder may use them.</summary>
    private static readonly Type[] Words =
        [typeof(Draft), typeof(Message), typeof(Receipt)];

    [Fact]
    public void I10_Each_folder_names_only_the_folders_below_it_and_nobody_names_a_wing()
    {
        var broken = from type in Types
                     where FolderOf(type) != "Hosting" && type != typeof(Program)
                     from named in Named(type)
                     where !Words.Contains(named) && FolderOf(named) != FolderOf(type) && !MayName[FolderOf(type)].Contains(FolderOf(named))
                     select $"{type.FullName} names {named.FullName}";
        Assert.Empty(broken.Distinct());
    }

    [Fact]
    public void A_file_imports_only_folders_that_its_own_may_name()
    {
        foreach (var file in Sources().Where(file => !IsIn(file, "Hosting") && Path.GetFileName(file) != "Program.cs"))
        {
            var folder = Path.GetRelativePath(Server, Path.GetDirectoryName(file)!)
                .Replace(Path.DirectorySeparatorChar, '.').TrimStart('.');
            Assert.Contains($"namespace {(folder.Length == 0 ? "SimpleChat" : "SimpleChat." + folder)};", File.ReadAllText(file));
            Assert.All(Import().Matches(File.ReadAllText(file)).Select(import => import.Groups[1].Value), import =>
                Assert.True(MayName[folder].Contains(import), $"{Path.GetRelativePath(Server, file)} imports {import}."));
        }
    }

    [Fact]
    public void The_root_names_the_door_of_Storage_and_nothing_behind_it()
    {
        var named = Types.Where(type => FolderOf(type).Length == 0 && type != typeof(Program)).SelectMany(Named);
        Assert.Subset(Door.ToHashSet(), named.Where(type => FolderOf(type) == "Storage").Select(type => type.Name).ToHashSet());
    }

    [Fact]
    public void Storage_knows_no_HTTP_and_no_WebSocket_and_the_core_nothing_of_scaling_out()
    {
        Assert.All(Sources().Where(file => IsIn(file, "Storage")), file => Assert.DoesNotMatch(Transport(), File.ReadAllText(file)));
        Assert.All(Sources(), file => Assert.DoesNotMatch(ScaleOut(), File.ReadAllText(file)));
    }

    [Fact]
    public void The_server_does_not_know_the_Lab() =>
        Assert.All(Sources().Append(Path.Combine(Server, "SimpleChat.csproj")),
            file => Assert.DoesNotContain("SimpleChat.Lab", File.ReadAllText(file)));

    [Fact]
    public void Only_one_file_knows_OpenTelemetry() => Assert.Equal(Path.Combine("Hosting", "Telemetry.cs"), Path.GetRelativePath(
        Server, Assert.Single(Sources(), file => File.ReadAllText(file).Contains("using OpenTelemetry", StringComparison.Ordinal))));

    [Fact]
    public void Each_package_that_is_published_is_in_the_third_party_notices()
    {
        string[] published = ["SimpleChat", "SimpleChat.ScaleOut", "SimpleChat.Lab"];
        var packages = published.SelectMany(project => JsonNode.Parse(
                File.ReadAllText(Path.Combine(Root, project, "packages.lock.json")))!["dependencies"]!["net10.0"]!.AsObject())
            .Where(package => (string?)package.Value!["type"] != "Project").Select(package => package.Key).ToHashSet();
        var notices = File.ReadAllText(Path.Combine(Root, "THIRD-PARTY-NOTICES.md"));
        Assert.Contains("Dapper", packages);
        Assert.All(packages, package => Assert.Matches($@"[| ,]{Regex.Escape(package)}[, ]", notices));
    }

    [Fact]
    public void The_chat_itself_is_short_and_no_file_is_long()
    {
        var lines = Sources().ToDictionary(file => Path.GetRelativePath(Server, file), file => File.ReadAllLines(file).Length);
        Assert.InRange(lines.Where(file => !file.Key.Contains(Path.DirectorySeparatorChar)).Sum(file => file.Value), 1, 700);
        Assert.All(lines, file => Assert.True(file.Value <= 200 || MayBeLong.ContainsKey(file.Key), $"{file.Key} has {file.Value} lines."));
    }

    /// <summary>The folder of the whole repository.</summary>
    internal static string Root { get; } = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(Here())!, ".."));

    private static string Server { get; } = Path.Combine(Root, "SimpleChat");

    private static IEnumerable<string> Sources() => Directory.GetFiles(Server, "*.cs", SearchOption.AllDirectories)
        .Where(file => !IsIn(file, "obj") && !IsIn(file, "bin"));

    private static bool IsIn(string file, string folder) =>
        Path.GetRelativePath(Server, file).StartsWith(folder + Path.DirectorySeparatorChar, StringComparison.Ordinal);

    private static string FolderOf(Type type) => type.Namespace!["SimpleChat".Length..].TrimStart('.');

    /// <summary>The server's types that a type has in its signatures, its fields and the locals of its methods.</summary>
    private static HashSet<Type> Named(Type type)
    {
        const BindingFlags All =
            BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;
        var methods = type.GetMethods(All).Cast<MethodBase>().Concat(type.GetConstructors(All)).ToArray();
        var named = type.GetInterfaces().Append(type.BaseType)
            .Concat(type.GetFields(All).Select(field => field.FieldType))
            .Concat(methods.SelectMany(method => method.GetParameters()).Select(parameter => parameter.ParameterType))
            .Concat(methods.OfType<MethodInfo>().Select(method => method.ReturnType))
            .Concat(methods.SelectMany(method => method.GetMethodBody()?.LocalVariables ?? []).Select(local => local.LocalType));
        return [.. named.SelectMany(Parts).Where(part => Types.Contains(part))];
    }

    /// <summary>A type, and what it is made of: elements, type arguments, the type that it is nested in.</summary>
    private static IEnumerable<Type> Parts(Type? type)
    {
        if (type is null)
            return [];
        if (type.HasElementType)
            return Parts(type.GetElementType());
        var parts = type.GetGenericArguments().SelectMany(Parts);
        return parts.Append(type.IsGenericType ? type.GetGenericTypeDefinition() : type);
    }

    [GeneratedRegex(@"^using SimpleChat\.([\w.]+);", RegexOptions.Multiline)]
    private static partial Regex Import();

    [GeneratedRegex("HttpContext|WebSocket|AspNetCore")]
    private static partial Regex Transport();

    [GeneratedRegex("redis|postgres|npgsql|rabbit|kafka|backplane|broker", RegexOptions.IgnoreCase)]
    private static partial Regex ScaleOut();

    private static string Here([CallerFilePath] string here = "") => here;
}
