using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.RegularExpressions;

namespace SimpleChat.Tests;

/// <summary>
/// What the battery's users call the server: nodes that are processes of their own, so that they can be killed. Whoever asks for
/// <see cref="Url"/>, or makes a request over <see cref="Http"/>, gets one of those that live, in turn.
/// </summary>
internal sealed partial class ChatProcess : IAsyncDisposable
{
    private readonly Func<int, string[]> _settings;
    private readonly Network? _network;
    private readonly Node[] _nodes;
    private int _turn;

    /// <param name="count">How many nodes.</param>
    /// <param name="settings">Arguments of a node: where PostgreSQL and Redis are, and what else.</param>
    /// <param name="network">A network with a place for each; null for this machine's own.</param>
    public ChatProcess(int count, Func<int, string[]> settings, Network? network = null)
    {
        (_settings, _network) = (settings, network);
        _nodes = new Node[count];
        Http = new HttpClient(new InTurn(this)) { BaseAddress = new Uri("http://127.0.0.1") };
    }

    /// <summary>Leads to all of them, in turn.</summary>
    public HttpClient Http { get; }

    public Uri Url
    {
        get
        {
            var nodes = _nodes.Where(node => node is { Url: not null, Process.HasExited: false }).ToArray();
            return nodes.Length == 0
                ? throw new HttpRequestException("No node lives.")
                : nodes[(uint)Interlocked.Increment(ref _turn) % nodes.Length].Url!;
        }
    }

    /// <summary>Where this node is.</summary>
    public Uri UrlOf(int node) => _nodes[node].Url!;

    public async Task<ChatProcess> StartAsync()
    {
        await Task.WhenAll(Enumerable.Range(0, _nodes.Length).Select(node => StartNodeAsync(node)));
        return this;
    }

    /// <summary>SIGKILL.</summary>
    public void Kill(int node)
    {
        _nodes[node].Process.Kill();
        if (!_nodes[node].Process.WaitForExit(Deadline.Time))
            throw new TimeoutException($"Node {node} does not die.");
    }

    /// <summary>SIGSTOP or SIGCONT.</summary>
    public Task SignalAsync(int node, string signal) => Tool.RunAsync("kill", $"-{signal}", $"{_nodes[node].Process.Id}");

    /// <summary>Waits until it has died.</summary>
    public Task DeathOf(int node) => _nodes[node].Process.WaitForExitAsync().OrFail("the end of the node");

    /// <param name="number">Which node.</param>
    /// <param name="diesAt">A moment of the <c>StartupHook</c> at which it dies, and the how manieth time; null for none.</param>
    public async Task StartNodeAsync(int number, string? diesAt = null)
    {
        string[] command =
        [
            "dotnet", Path.Combine(AppContext.BaseDirectory, "SimpleChat.ScaleOut.dll"),
            "--urls", $"http://{_network?.AddressOf(number) ?? "127.0.0.1"}:0",
            $"--ScaleOut:Node=node{number}", "--Chat:MessagesPerSecond=0", "--Chat:ConnectionsPerUser=99",
            "--Logging:LogLevel:SimpleChat=Information", .. _settings(number),
        ];
        command = _network?.CommandAt(number, command) ?? command;
        var start = new ProcessStartInfo(command[0], command[1..])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["ASPNETCORE_ENVIRONMENT"] = "Development";
        start.Environment["DOTNET_hostBuilder__reloadConfigOnChange"] = "false"; // a machine has few file watchers to give
        start.Environment["DOTNET_EnableDiagnostics"] = "0"; // whoever is killed would leave its debugger's pipes in the temporary folder
        if (diesAt is not null)
        {
            start.Environment["DOTNET_STARTUP_HOOKS"] = typeof(StartupHook).Assembly.Location;
            start.Environment[StartupHook.CrashVariable] = diesAt;
        }

        var node = new Node(new Process { StartInfo = start });
        var listens = new TaskCompletionSource<Uri>(TaskCreationOptions.RunContinuationsAsynchronously);
        node.Process.OutputDataReceived += (_, line) => Hear(line.Data);
        node.Process.ErrorDataReceived += (_, line) => Hear(line.Data);
        node.Process.Start();
        node.Process.BeginOutputReadLine();
        node.Process.BeginErrorReadLine();
        _nodes[number] = node;
        var first = await Task.WhenAny(listens.Task, node.Process.WaitForExitAsync()).OrFail("a node that listens");
        node.Url = first == listens.Task
            ? await listens.Task
            : throw new InvalidOperationException($"Node {number} ended: {string.Join('\n', node.Output)}");

        void Hear(string? line)
        {
            if (line is null)
                return;
            node.Output.Enqueue(line);
            if (Address().Match(line) is { Success: true } address)
                listens.TrySetResult(new Uri(address.Value));
        }
    }

    public ValueTask DisposeAsync()
    {
        Http.Dispose();
        foreach (var node in _nodes.Where(node => node is not null))
        {
            if (!node.Process.HasExited)
                node.Process.Kill();
            node.Process.Dispose();
        }

        return ValueTask.CompletedTask;
    }

    [GeneratedRegex(@"(?<=listens on )http://\S+:\d+")]
    private static partial Regex Address();

    private sealed record Node(Process Process)
    {
        public Uri? Url { get; set; }

        public ConcurrentQueue<string> Output { get; } = new();
    }

    private sealed class InTurn(ChatProcess nodes) : DelegatingHandler(new SocketsHttpHandler())
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            request.RequestUri = new Uri(nodes.Url, request.RequestUri!.PathAndQuery);
            return base.SendAsync(request, cancellationToken);
        }
    }
}
