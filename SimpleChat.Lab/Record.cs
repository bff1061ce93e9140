using System.Text.Json;
using System.Threading.Channels;
using SimpleChat.Lab.Rules;

namespace SimpleChat.Lab;

/// <summary>The run: its entries in the order of a logical clock, from the first one, passed on to each page. Thread-safe.</summary>
internal sealed class Record : IDisposable
{
    /// <summary>A run has at most so many entries, some 30 MB of them. A class looks at a few hundred.</summary>
    private const int Most = 50_000;

    private readonly string _server;
    private readonly TimeProvider _time;
    private readonly ITimer _quiet;
    private readonly Lock _lock = new();
    private readonly List<ChannelWriter<string>> _pages = [];
    private List<string> _lines = [];
    private Verdicts _verdicts = new();
    private long _began;
    private int _connections;
    private bool _isQuiet; // for a while already

    /// <param name="server">Which server it is about.</param>
    /// <param name="time">The clock.</param>
    public Record(string server, TimeProvider time)
    {
        (_server, _time) = (server, time);
        _quiet = time.CreateTimer(_ => Settle(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        Begin();
    }

    /// <summary>After such a silence the rules look at what has come; after four times that, at what has not.</summary>
    public TimeSpan Quiet { get; set; } = Timeout.InfiniteTimeSpan;

    /// <summary>How many entries the run has.</summary>
    public int Count
    {
        get
        {
            lock (_lock)
                return _lines.Count;
        }
    }

    /// <summary>Begins a new run; the one before is forgotten.</summary>
    public void Begin()
    {
        lock (_lock)
        {
            (_lines, _verdicts, _began, _connections) = ([], new Verdicts(), _time.GetTimestamp(), 0);
            Append(new RunEntry(1, _server, _time.GetUtcNow()));
        }
    }

    /// <summary>Adds an entry, and whatever the rules say about it.</summary>
    /// <returns>Its number; 0 if the run is full.</returns>
    public int Add(Entry entry)
    {
        lock (_lock)
        {
            var number = Append(entry);
            AppendVerdicts();
            _isQuiet = false;
            _quiet.Change(Quiet, Timeout.InfiniteTimeSpan);
            return number;
        }
    }

    /// <summary>A number for a connection, new in this run.</summary>
    public int NewLine() => Interlocked.Increment(ref _connections);

    /// <summary>The run so far: its lines.</summary>
    public string[] Lines()
    {
        lock (_lock)
            return [.. _lines];
    }

    /// <summary>All entries of this run, then each new one, until <paramref name="end"/>.</summary>
    public async IAsyncEnumerable<string> FollowAsync(
        [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken end)
    {
        var page = Channel.CreateUnbounded<string>(); // it holds references to lines that are kept anyway
        lock (_lock)
        {
            foreach (var line in _lines)
                page.Writer.TryWrite(line);
            _pages.Add(page.Writer);
        }

        try
        {
            await foreach (var line in page.Reader.ReadAllAsync(end))
                yield return line;
        }
        finally
        {
            lock (_lock)
                _pages.Remove(page.Writer);
        }
    }

    public void Dispose() => _quiet.Dispose();

    private void Settle()
    {
        lock (_lock)
        {
            _verdicts.Settle(isLong: _isQuiet);
            AppendVerdicts();
            var quiet = Quiet; // somebody may begin a pause meanwhile
            if (!_isQuiet && quiet != Timeout.InfiniteTimeSpan)
                _quiet.Change(3 * quiet, Timeout.InfiniteTimeSpan);
            _isQuiet = true;
        }
    }

    private void AppendVerdicts()
    {
        while (_verdicts.Next() is { } verdict)
            Append(verdict);
    }

    private int Append(Entry entry)
    {
        if (_lines.Count >= Most)
            return 0;
        if (_lines.Count == Most - 1)
            entry = new FaultEntry("record-full");
        entry = entry with { N = _lines.Count + 1, T = Math.Round(_time.GetElapsedTime(_began).TotalMilliseconds, 1) };
        var line = JsonSerializer.Serialize(entry, LabJson.Readable.Entry);
        _lines.Add(line);
        _pages.ForEach(page => page.TryWrite(line));
        _verdicts.See(entry);
        return entry.N;
    }
}
