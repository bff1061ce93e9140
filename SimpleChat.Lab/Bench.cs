using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace SimpleChat.Lab;

/// <summary>
/// The bench with everything on it: the server, a cable for each person, the record. Commands come one at a time, whoever gives them.
/// </summary>
internal sealed class Bench : IAsyncDisposable
{
    /// <summary>Whose cables there are.</summary>
    public static readonly string[] People = ["alice", "bob"];

    /// <summary>Kinds of frames that can be lost.</summary>
    private static readonly string[] Losses = ["ack", "sent", "message", "delivered", "send"];

    /// <summary>After such a silence, at full speed, the rules say what has happened.</summary>
    private static readonly TimeSpan Silence = TimeSpan.FromMilliseconds(700);

    private static readonly TimeSpan LongestDelay = TimeSpan.FromSeconds(10);

    private readonly ServedProgram _program;
    private readonly Tempo _tempo;
    private readonly Tables _tables;
    private readonly Server _server;
    private readonly Dictionary<string, Cable> _cables;
    private readonly SemaphoreSlim _turn = new(1);
    private readonly HttpClient _http = new(new SocketsHttpHandler { ActivityHeadersPropagator = null }); // no header but the person's
    private readonly TimeProvider _time;
    private IPEndPoint? _lab;
    private Ways? _ways;
    private bool _isOver;

    /// <param name="program">Which server.</param>
    /// <param name="time">The clock.</param>
    /// <param name="printed">The server printed a line.</param>
    public Bench(ServedProgram program, TimeProvider time, Action<string> printed)
    {
        (_program, _time) = (program, time);
        Record = new Record(program.Name, time) { Quiet = Silence };
        _tempo = new Tempo(time);
        _tables = new Tables(Record, time);
        _server = new Server(program, Record, _tempo, _tables, printed);
        _cables = People.ToDictionary(who => who, who => new Cable(who, Record, _tempo, time, _tables.Look, () => _server.Place));
    }

    /// <summary>The run.</summary>
    public Record Record { get; }

    /// <summary>What a page is told first.</summary>
    public Hello Hello => new(
        "hello", _program.Name, _program.Protocol, Record.Count, _cables.ToDictionary(cable => cable.Key, cable => cable.Value.Port),
        [.. _program.Points.Select(point => new HelloPoint(point.Name, point.Sentence))], "lessons/index.json",
        new() { ["slow-disk"] = true, ["full-disk"] = !OperatingSystem.IsWindows() },
        OperatingSystem.IsWindows() ? "On Windows the disk cannot be filled without harm." : null);

    /// <summary>Starts the server for the first time.</summary>
    /// <param name="lab">Where the page is.</param>
    /// <exception cref="LabException">It does not start.</exception>
    public Task StartAsync(IPEndPoint lab)
    {
        _lab = lab;
        _server.Origins = [$"http://localhost:{lab.Port}", $"http://127.0.0.1:{lab.Port}"];
        return _server.StartAsync();
    }

    /// <summary>The server called the webhook.</summary>
    public Task CalledAsync(HttpContext context) => _ways?.CalledAsync(context) ?? Task.CompletedTask;

    /// <summary>Does what a page asks for. What comes of it is in the record.</summary>
    /// <returns>Why it cannot be done; null if it was.</returns>
    public async Task<Refused?> DoAsync(string text)
    {
        Command? command = null;
        try
        {
            command = JsonSerializer.Deserialize(text, LabJson.Default.Command) ?? throw new LabException("A command is a JSON object.");
            await _turn.WaitAsync();
            try
            {
                if (_isOver)
                    throw new LabException("The Lab ends.");
                await DoAsync(command, text);
            }
            finally
            {
                _turn.Release();
            }

            return null;
        }
        catch (Exception e) when (e is LabException or JsonException)
        {
            return new Refused("refused", command?.Do, e.Message);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _server.KillAsync(); // whoever waits for it waits no longer
        await _turn.WaitAsync();
        _isOver = true;
        await _server.DisposeAsync();
        await StopWaysAsync();
        foreach (var cable in _cables.Values)
            await cable.DisposeAsync();
        _tables.Dispose();
        Record.Dispose();
        _http.Dispose();
        _turn.Release(); // a page that is still there is told that it is over
    }

    private Task DoAsync(Command command, string text)
    {
        switch (command.Do)
        {
            case "fault":
                return FaultAsync(command, Of(command.Who));
            case "server":
                return ServerAsync(command);
            case "slow":
                _tempo.Slow = Time(command.Ms);
                Note(command);
                return _server.WatchAsync();
            case "pause":
                _tempo.Pause();
                Note(command);
                return Task.CompletedTask;
            case "step":
                return _tempo.Step() ? Task.CompletedTask : throw new LabException("Nothing waits for a step.");
            case "resume":
                Note(command);
                _tempo.Resume();
                return Task.CompletedTask;
            case "fresh":
                return FreshAsync();
            case "ways":
                return WaysAsync(command);
            case "http":
                _ = CallAsync(command, Of(command.Who));
                return Task.CompletedTask;
            case "screen":
                return TellAsync(text, LabJson.Default.ScreenEntry);
            case "lost":
                return TellAsync(text, LabJson.Default.ClientEntry);
            case "predict":
                return TellAsync(text, LabJson.Default.PredictEntry);
            case "lesson":
                return TellAsync(text, LabJson.Default.LessonEntry);
            default:
                throw new LabException($"There is no command {command.Do}.");
        }
    }

    /// <summary>Notes what the page tells, as it came.</summary>
    private Task TellAsync<T>(string text, JsonTypeInfo<T> type) where T : ToldEntry
    {
        var entry = JsonSerializer.Deserialize(text, type)!;
        entry.Rest?.Remove("do");
        entry.Rest?.Remove("kind");
        if (entry.N > 0) // a lesson's number; n is the clock here
            (entry.Rest ??= [])["lesson"] = JsonSerializer.SerializeToElement(entry.N, LabJson.Default.Int32);
        Record.Add(entry);
        return Task.CompletedTask;
    }

    /// <summary>Notes a switch that was thrown, and takes account of it in how long a silence has to be.</summary>
    private void Note(Command command)
    {
        Record.Add(new FaultEntry(command.Do, command.What, command.Who, command.Ms, command.Frame, command.Kind, command.Point, command.On,
            command.Rtt));
        Record.Quiet = _tempo.IsPaused ? Timeout.InfiniteTimeSpan
            : Silence + 2 * _tempo.Slow + 2 * _cables.Values.Max(cable => cable.Delay) + _server.DiskDelay;
    }

    private async Task FaultAsync(Command command, Cable cable)
    {
        switch (command.What)
        {
            case "cut":
                Note(command);
                cable.Cut();
                break;
            case "plug":
                cable.Plug();
                Note(command);
                break;
            case "hold":
                cable.Hold();
                Note(command);
                break;
            case "release":
                Note(command);
                cable.Release();
                break;
            case "delay":
                cable.Delay = Time(command.Ms);
                Note(command);
                break;
            case "lose":
                cable.Lose(Array.Find(Losses, loss => loss == command.Frame)
                    ?? throw new LabException($"\"{command.Frame}\" cannot be lost; these can: {string.Join(", ", Losses)}."));
                Note(command);
                break;
            case "stop-reading":
                cable.Reading.Shut();
                Note(command);
                break;
            case "read":
                Note(command);
                cable.Reading.Open();
                break;
            case "garbage":
                if (!Cable.Garbage.Contains(command.Kind))
                    throw new LabException($"There is no garbage \"{command.Kind}\"; there is {string.Join(", ", Cable.Garbage)}.");
                Note(command);
                if (!await cable.InjectAsync(command.Kind!))
                    throw new LabException($"{cable.Who} is not connected.");
                break;
            default:
                throw new LabException($"A cable knows no \"{command.What}\".");
        }
    }

    private async Task ServerAsync(Command command)
    {
        switch (command.What)
        {
            case "start":
                await _server.StartAsync();
                break;
            case "stop":
                Note(command);
                await _server.StopAsync();
                break;
            case "kill":
                Note(command);
                await _server.KillAsync();
                break;
            case "kill-at":
                await _server.KillAtAsync(Array.Find(_program.Points, point => point.Name == command.Point)
                    ?? throw new LabException($"This server has no point \"{command.Point}\"."));
                Note(command);
                break;
            case "slow-disk":
                await _server.SlowDiskAsync(Time(command.Ms));
                Note(command);
                break;
            case "full-disk":
                await _server.FullDiskAsync(command.On == true);
                Note(command);
                break;
            default:
                throw new LabException($"The server knows no \"{command.What}\".");
        }
    }

    private async Task WaysAsync(Command command)
    {
        if (_program.Protocol.Length == 0 || _program.Name != "SimpleChat")
            throw new LabException("A step of the ladder has one way only. Start the Lab without --server.");
        Note(command);
        try
        {
            switch (command.What)
            {
                case "start":
                    var roundTrip = Time(command.Rtt);
                    _ways ??= new Ways(Record, _time, _tables.Look, () => _server.Place, _lab!);
                    _ways.SetRoundTrip(roundTrip);
                    break;
                case "quiet":
                    break;
                case "send":
                    await (_ways?.SendAsync() ?? throw new LabException("The five lanes are not there; start them first."));
                    break;
                case "stop":
                    await StopWaysAsync();
                    break;
                default:
                    throw new LabException($"The five ways know no \"{command.What}\".");
            }
        }
        catch (Exception e) when (e is HttpRequestException or SocketException or OperationCanceledException)
        {
            throw new LabException($"Alice's messages could not be sent: {e.Message}", e);
        }
    }

    private async Task StopWaysAsync()
    {
        if (_ways is { } ways)
            await ways.DisposeAsync();
        _ways = null;
    }

    /// <summary>A request of somebody's, over that person's cable. What comes of it is in the record.</summary>
    private async Task CallAsync(Command command, Cable cable)
    {
        try
        {
            var mark = command.Path?.Contains('?', StringComparison.Ordinal) == true ? '&' : '?';
            var url = new Uri($"http://127.0.0.1:{cable.Port}/{command.Path?.TrimStart('/')}{mark}user={cable.Who}");
            using var request = new HttpRequestMessage(new HttpMethod(command.Method ?? "GET"), url);
            request.Headers.ConnectionClose = true;
            if (command.Body is { } body)
                request.Content = new StringContent(body.GetRawText(), System.Text.Encoding.UTF8, "application/json");
            using var answer = await _http.SendAsync(request);
        }
        catch (Exception e) when (e is HttpRequestException or SocketException or OperationCanceledException or FormatException
            or ArgumentException)
        {
            // The record has as much of it as there was.
        }
    }

    /// <summary>Everything anew: the database, the cables, the run.</summary>
    private async Task FreshAsync()
    {
        await StopWaysAsync();
        _tempo.Slow = TimeSpan.Zero;
        _tempo.Resume();
        await _server.ResetAsync(); // before the cables: whoever connects again is not to reach the old one
        foreach (var cable in _cables.Values)
            await cable.ResetAsync();
        Record.Quiet = Silence;
        Record.Begin();
        await _server.StartAsync();
    }

    private Cable Of(string? who) =>
        who is not null && _cables.TryGetValue(who, out var cable) ? cable : throw new LabException($"{who} has no cable.");

    private static TimeSpan Time(int? ms) => ms is >= 0 and var some && some <= LongestDelay.TotalMilliseconds
        ? TimeSpan.FromMilliseconds(some)
        : throw new LabException($"\"ms\" is from 0 to {LongestDelay.TotalMilliseconds}.");
}
