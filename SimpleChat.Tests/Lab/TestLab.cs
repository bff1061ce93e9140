using System.Collections.Concurrent;
using SimpleChat.Lab;

namespace SimpleChat.Tests.Lab;

/// <summary>A Lab of this process's own, on a free port, with what its server printed.</summary>
internal sealed class TestLab : IAsyncDisposable
{
    private readonly LabHost _host;

    private TestLab(LabHost host, LabPage page, ConcurrentQueue<string> log)
    {
        (_host, Page, Log) = (host, page, log);
    }

    /// <summary>Its control line.</summary>
    public LabPage Page { get; }

    /// <summary>Where its page is.</summary>
    public Uri Url => _host.Url;

    /// <summary>What its server printed.</summary>
    public IReadOnlyCollection<string> Log { get; }

    /// <param name="server">A step of the ladder, built; null for SimpleChat.</param>
    public static async Task<TestLab> StartAsync(string? server = null)
    {
        var log = new ConcurrentQueue<string>();
        var host = await LabHost.StartAsync(0, server, log.Enqueue);
        return new TestLab(host, await LabPage.OpenAsync(host.Url), log);
    }

    /// <summary>A player of lessons on it.</summary>
    /// <param name="hurry">By how much everything that waits is shortened.</param>
    public LessonPlayer Player(int hurry = 20) => new(Page, hurry);

    public async ValueTask DisposeAsync()
    {
        await Page.DisposeAsync();
        await _host.DisposeAsync();
    }
}

/// <summary>One Lab for all tests of a class.</summary>
public sealed class SharedLab : IAsyncLifetime
{
    /// <summary>The Lab.</summary>
    internal TestLab Lab { get; private set; } = null!;

    public async Task InitializeAsync() => Lab = await TestLab.StartAsync();

    public async Task DisposeAsync() => await Lab.DisposeAsync();
}
