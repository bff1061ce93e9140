using System.Net;

namespace SimpleChat.Lab;

/// <summary>
/// The server over its restarts, with its database in a temporary folder, and what can be done to it. Used by one command at a time.
/// </summary>
/// <param name="program">What is started.</param>
/// <param name="record">The run.</param>
/// <param name="tempo">How fast things go.</param>
/// <param name="tables">Its tables.</param>
/// <param name="printed">It printed a line.</param>
internal sealed class Server(ServedProgram program, Record record, Tempo tempo, Tables tables, Action<string> printed) : IAsyncDisposable
{
    /// <summary>The server tells a sender who has waited for 5 s that its message is not known to be stored. A pause is shorter.</summary>
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(2);

    /// <summary>After this wait an answer is on the cable.</summary>
    private static readonly TimeSpan AnswerLeaves = TimeSpan.FromMilliseconds(50);

    private DirectoryInfo _folder = NewFolder();
    private ServerProcess? _process;
    private Task _over = Task.CompletedTask;
    private volatile string? _end; // how its end is to be called, if it was asked for
    private volatile Point? _killAt;

    /// <summary>Which web pages may use it. Set before it is started.</summary>
    public string[] Origins { get; set; } = [];

    /// <summary>Where it listens; null while it does not.</summary>
    public IPEndPoint? Place { get; private set; }

    /// <summary>How long it waits for its disk at each commit.</summary>
    public TimeSpan DiskDelay { get; private set; }

    /// <summary>Starts it, on the database that is there.</summary>
    /// <exception cref="LabException">It runs already, or it does not start.</exception>
    public async Task StartAsync()
    {
        if (_process is not null)
            throw new LabException("The server is running already.");
        record.Add(new ServerEntry("starting"));
        var process = new ServerProcess(program, _folder.FullName, Origins, (it, moment) => _ = ReachedAsync(it, moment), printed);
        (_process, _end) = (process, null);
        _over = EndsAsync(process);
        try
        {
            Place = await process.ListensAsync();
        }
        catch (LabException)
        {
            await _over;
            throw;
        }

        tables.Open(_folder.FullName);
        record.Add(new ServerEntry("up", process.Id));
        await WatchAsync();
    }

    /// <summary>kill -9.</summary>
    public Task KillAsync() => EndAsync("killed", process =>
    {
        process.Kill();
        return Task.CompletedTask;
    });

    /// <summary>SIGTERM.</summary>
    public Task StopAsync() => EndAsync("stopped", process => process.TerminateAsync());

    /// <summary>It dies when it gets there the next time.</summary>
    public Task KillAtAsync(Point point)
    {
        _killAt = point;
        return WatchAsync();
    }

    /// <summary>Each commit waits so long for the disk; zero ends it.</summary>
    public Task SlowDiskAsync(TimeSpan delay)
    {
        DiskDelay = delay;
        return WatchAsync();
    }

    /// <summary>Its disk has no room, or has some again.</summary>
    /// <exception cref="LabException">It cannot be had here.</exception>
    public async Task FullDiskAsync(bool on)
    {
        if (_process is not { } process || !await process.OrderAsync(on ? "full on" : "full off"))
            throw new LabException("The server is not running, or its disk cannot be filled on this operating system.");
    }

    /// <summary>Tells the hook where it has to ask, after a switch was thrown.</summary>
    public async Task WatchAsync()
    {
        List<string> moments = [];
        if (_killAt is { } point)
            moments.Add(point.Where); // before the others, of which it may be a case
        if (DiskDelay > TimeSpan.Zero || tempo.Slow > TimeSpan.Zero)
            moments.Add(Point.BeforeCommit);
        if (tempo.Slow > TimeSpan.Zero)
            moments.Add(Point.AfterCommit);
        if (_process is { } process)
            await process.OrderAsync(string.Join('\t', moments.Prepend("watch")));
    }

    /// <summary>As new: no process, an empty folder, no switch thrown.</summary>
    public async Task ResetAsync()
    {
        await KillAsync();
        (_killAt, DiskDelay) = (null, TimeSpan.Zero);
        tables.Close();
        _folder.Delete(recursive: true);
        _folder = NewFolder();
    }

    public async ValueTask DisposeAsync()
    {
        await KillAsync();
        tables.Close();
        _folder.Refresh();
        if (_folder.Exists)
            _folder.Delete(recursive: true);
    }

    private static DirectoryInfo NewFolder() => Directory.CreateTempSubdirectory("simplechat-lab-");

    private async Task EndAsync(string end, Func<ServerProcess, Task> act)
    {
        if (_process is not { } process)
            return;
        _end = end;
        await act(process);
        await _over;
    }

    /// <summary>Waits for the end of the process, which may come by itself.</summary>
    private async Task EndsAsync(ServerProcess process)
    {
        var exit = await process.ExitAsync();
        (_process, Place) = (null, null);
        tables.Look();
        record.Add(new ServerEntry(_end ?? (exit == 0 ? "stopped" : "killed"), process.Id, _diedAt, exit));
        _diedAt = null;
        process.Dispose();
    }

    private string? _diedAt;

    /// <summary>A server has come to a moment and waits there.</summary>
    private async Task ReachedAsync(ServerProcess process, string moment)
    {
        if (process != _process)
            return; // it is over
        if (_killAt is { } point && point.Where == moment)
        {
            (_killAt, _diedAt, _end) = (null, point.Name, "killed");
            await Task.Delay(AnswerLeaves);
            process.Kill();
            return;
        }

        var pause = tempo.Slow;
        if (moment == Point.BeforeCommit && DiskDelay > pause)
            pause = DiskDelay;
        else if (pause > LongestPause)
            pause = LongestPause;
        if (pause > TimeSpan.Zero)
        {
            var at = moment == Point.BeforeCommit ? "before-commit" : "after-commit";
            tables.Look();
            record.Add(new ServerEntry("paused", process.Id, at));
            await Task.Delay(pause);
            record.Add(new ServerEntry("resumed", process.Id, at));
        }

        process.Go();
    }
}
