using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace SimpleChat.Tests;

/// <summary>What a node reads because nobody announced it: for whom it waits, and who waits for it.</summary>
public sealed class TailLookTests : IAsyncLifetime, IDisposable
{
    private readonly FakeTimeProvider _time = new(); // it stands still: no patience ever ends
    private readonly List<Commit> _offered = [];
    private readonly Tail _tail = new();
    private readonly CommitChain _chain;
    private readonly TailLook _look;

    public TailLookTests()
    {
        _chain = new CommitChain(_offered.Add, _time);
        _look = new TailLook(_chain, _tail, _time, NullLogger<TailLook>.Instance);
    }

    public Task InitializeAsync() => _look.StartAsync(CancellationToken.None);

    public async Task DisposeAsync()
    {
        _tail.Answer.TrySetResult(0);
        await _look.StopAsync(CancellationToken.None);
    }

    public void Dispose() => _look.Dispose();

    [Xunit.Fact]
    public async Task Whoever_joins_is_not_in_the_map_before_a_look_has_shown_what_was_committed()
    {
        var options = new ChatOptions();
        var here = new Connections(options);
        await using var redis = new RedisServer(new ConfigurationBuilder().Build(), new ScaleOutOptions());
        var map = new RedisMap(redis);
        var announcer = new Announcer(redis, map, new Traces(_time), _time, NullLogger<Announcer>.Instance);
        var audience = new ClusterAudience(
            here, map, _chain, _look, new Deliveries(here), announcer, options, NullLogger<ClusterAudience>.Instance);
        var joining = audience.TryAddAsync(new Connection(new UserShare("bob")) { IsAttended = false }).AsTask();
        await _tail.Looked.Task.OrFail("a look");
        Assert.Empty(here.Of("bob")); // else it would be offered what was delivered elsewhere before it came

        _tail.Answer.SetResult(1);
        Assert.Null(await joining.OrFail("the join"));
        Assert.Single(here.Of("bob"));
        Assert.Equal(1, audience.Committed);
    }

    [Xunit.Fact]
    public async Task What_this_node_has_just_committed_is_not_read_before_the_node_itself_adds_it()
    {
        var origin = new Connection(new UserShare("alice"));
        _chain.CommitBegins();
        _tail.Answer.SetResult(1); // PostgreSQL shows it before it has answered
        var looking = _look.CatchUpAsync().AsTask();
        await Task.WhenAny(_tail.Read.Task, looking, Task.Delay(200)); // it would be read at once
        Assert.False(_tail.Read.Task.IsCompleted, "It was read: it would go back to the connection that has sent it.");
        _chain.CommitEnds(last: 1);
        _chain.Add(new Commit(1, "alice", "bob", Tail.Stored, IsOwn: true, origin));
        await looking.OrFail("the look");
        Assert.Same(origin, Assert.Single(_offered).Origin);
    }

    /// <summary>The end of a database with one message, which it shows when it is told to.</summary>
    private sealed class Tail : ITail
    {
        public static readonly Message Stored = new(1, "alice", "bob", "hi"u8.ToArray(), 1);

        public TaskCompletionSource Looked { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public TaskCompletionSource<long> Answer { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public TaskCompletionSource Read { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public async ValueTask<(long LastId, Snapshot Shown)> LookAsync()
        {
            Looked.TrySetResult();
            return (await Answer.Task, new Snapshot("1:1:"));
        }

        public ValueTask<Page> ReadTailAsync(long after, long upTo, int limit)
        {
            Read.TrySetResult();
            return ValueTask.FromResult(new Page([Stored], upTo));
        }
    }
}
