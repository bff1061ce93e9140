using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace SimpleChat.Tests;

/// <summary>One entry of the server's log.</summary>
internal sealed record LogEntry(LogLevel Level, string Category, string Message, string Values, Exception? Exception)
{
    /// <summary>All that any formatter could print of it.</summary>
    public override string ToString() => $"{Level} {Category}: {Message} [{Values}] {Exception}";
}

/// <summary>Keeps what the server logs, for tests to look at.</summary>
internal sealed class CapturedLog : ILoggerProvider
{
    private readonly ConcurrentQueue<LogEntry> _entries = new();

    public IReadOnlyCollection<LogEntry> Entries => _entries;

    /// <summary>Entries that say something broke; a connection's end, however it comes, is none (I7).</summary>
    public IEnumerable<LogEntry> Faults => _entries.Where(entry => entry.Exception is not null || entry.Level >= LogLevel.Error);

    public ILogger CreateLogger(string categoryName) => new Logger(categoryName, _entries);

    public void Dispose()
    {
    }

    private sealed class Logger(string category, ConcurrentQueue<LogEntry> entries) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel != LogLevel.None;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            var values = state is IEnumerable<KeyValuePair<string, object?>> pairs
                ? string.Join(", ", pairs.Select(pair => $"{pair.Key}={pair.Value}"))
                : "";
            entries.Enqueue(new LogEntry(logLevel, category, formatter(state, exception), values, exception));
        }
    }
}
