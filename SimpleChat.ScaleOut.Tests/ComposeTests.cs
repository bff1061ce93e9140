using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using YamlDotNet.Core;
using YamlDotNet.Serialization;
using YamlDotNet.Serialization.NamingConventions;

namespace SimpleChat.Tests;

/// <summary>
/// <c>deploy/compose.yaml</c>, without a container engine: whether its names fit one another, the nodes' settings, HAProxy's file, and
/// the image that the project makes. It was never run.
/// </summary>
public sealed partial class ComposeTests
{
    /// <summary>Where .NET's image listens (https://learn.microsoft.com/dotnet/core/compatibility/containers/8.0/aspnet-port).</summary>
    private const string Port = "8080";

    private readonly Compose _compose = new DeserializerBuilder()
        .WithNamingConvention(UnderscoredNamingConvention.Instance).IgnoreUnmatchedProperties().Build()
        .Deserialize<Compose>(new MergingParser(new Parser(new StringReader(Read("deploy/compose.yaml")))));

    [Xunit.Theory]
    [InlineData("node1")]
    [InlineData("node2")]
    public void Each_node_is_the_projects_image_with_settings_that_there_are(string name)
    {
        var node = _compose.Services[name];
        Assert.Contains($"<ContainerRepository>{node.Image}</ContainerRepository>",
            Read("SimpleChat.ScaleOut/SimpleChat.ScaleOut.csproj"), StringComparison.Ordinal);
        Assert.Equal("Development", node.Environment["ASPNETCORE_ENVIRONMENT"]);
        Assert.Equal(name, node.Environment["ScaleOut__Node"]);
        Assert.Equal(_compose.Networks["default"].Ipam.Config.Single()["subnet"], node.Environment["ForwardedHeaders__KnownIPNetworks__0"]);
        foreach (var key in node.Environment.Keys.Where(key => key != "ASPNETCORE_ENVIRONMENT"))
        {
            var (section, setting) = (key.Split("__")[0], key.Split("__")[1]);
            Assert.True(section switch
            {
                "ConnectionStrings" => setting is "Postgres" or "Redis",
                "ScaleOut" => typeof(ScaleOutOptions).GetProperty(setting) is not null,
                "ForwardedHeaders" => typeof(Proxies).GetProperty(setting) is not null,
                "Chat" => typeof(ChatOptions).GetProperty(setting) is not null,
                _ => false,
            }, $"There is no setting {key}.");
        }
    }

    [Xunit.Fact]
    public void The_nodes_know_PostgreSQL_and_Redis_by_their_services()
    {
        var (node, postgres) = (_compose.Services["node1"].Environment, _compose.Services["postgres"].Environment);
        var address = new Npgsql.NpgsqlConnectionStringBuilder(node["ConnectionStrings__Postgres"]);
        Assert.Contains(address.Host!, _compose.Services.Keys);
        Assert.Equal((address.Database, address.Username, address.Password),
            (postgres["POSTGRES_DB"], postgres["POSTGRES_USER"], postgres["POSTGRES_PASSWORD"]));
        Assert.Contains(node["ConnectionStrings__Redis"].Split(':')[0], _compose.Services.Keys);
    }

    [Xunit.Fact]
    public void HAProxy_gets_each_variable_of_its_file_and_passes_on_to_the_nodes()
    {
        var haproxy = _compose.Services["haproxy"];
        var file = Read($"deploy/{haproxy.Volumes.Single().Split(':')[0]}");
        var variables = Variable().Matches(file).ToLookup(variable => variable.Groups[1].Value, variable => variable.Groups[2].Success);
        Assert.All(haproxy.Environment.Keys, name => Assert.True(variables.Contains(name), $"{name} is not in HAProxy's file."));
        Assert.All(variables.Where(variable => !variable.First()), variable => Assert.Contains(variable.Key, haproxy.Environment.Keys));
        foreach (var name in (string[])["NODE1", "NODE2"])
        {
            Assert.Contains(haproxy.Environment[name].Split(':')[0], ((List<object>)haproxy.DependsOn!).Cast<string>());
            Assert.EndsWith($":{Port}", haproxy.Environment[name], StringComparison.Ordinal);
        }

        Assert.EndsWith(haproxy.Environment["LISTEN"], haproxy.Ports.Single(), StringComparison.Ordinal);
        Assert.StartsWith("127.0.0.1:", haproxy.Ports.Single(), StringComparison.Ordinal);
    }

    private static string Read(string path, [CallerFilePath] string here = "") =>
        File.ReadAllText(Path.Combine(Path.GetDirectoryName(here)!, "..", path));

    [GeneratedRegex(@"\$\{(\w+)(-[^}]*)?\}")]
    private static partial Regex Variable();

    private sealed class Compose
    {
        public Dictionary<string, Service> Services { get; set; } = [];

        public Dictionary<string, Network> Networks { get; set; } = [];
    }

    private sealed class Service
    {
        public string Image { get; set; } = "";

        public Dictionary<string, string> Environment { get; set; } = [];

        public List<string> Volumes { get; set; } = [];

        public List<string> Ports { get; set; } = [];

        public object? DependsOn { get; set; }
    }

    private sealed class Network
    {
        public Ipam Ipam { get; set; } = new();
    }

    private sealed class Ipam
    {
        public List<Dictionary<string, string>> Config { get; set; } = [];
    }
}
