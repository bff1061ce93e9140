using SimpleChat.Storage;
using StackExchange.Redis;

namespace SimpleChat.ScaleOut;

/// <summary>
/// Makes this process a node: connects to Redis, hears what is announced, keeps its entry in the map alive, and announces. If Redis has
/// lost the entry, everything that this node knows is written again.
/// </summary>
internal sealed partial class Membership(
    RedisServer redis, RedisMap map, Hearing hearing, Announcer announcer, ClusterAudience audience, Writer writer, TimeProvider time,
    ILogger<Membership> log) : IHostedService, IDisposable
{
    /// <summary>How often the entry is renewed. Within two of these an emptied Redis is full again.</summary>
    private static readonly TimeSpan Beat = TimeSpan.FromSeconds(2);

    /// <summary>How often everything is written again, whatever Redis says: a replica that took over may have lost some.</summary>
    private static readonly TimeSpan Assertion = TimeSpan.FromSeconds(60);

    private readonly CancellationTokenSource _stop = new();
    private readonly SemaphoreSlim _beatNow = new(0);
    private readonly List<ChannelMessageQueue> _channels = [];
    private Task _running = Task.CompletedTask;
    private bool _isDisposed;

    /// <exception cref="Settings.StartException">Redis cannot be reached.</exception>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        await redis.ConnectAsync();
        redis.Changed += () => _beatNow.Release();
        await ListenAsync();
        foreach (var node in (await map.RenewAsync()).Living)
            announcer.Ask(node, 0); // so that it knows this one
        await Task.Delay(Announcer.MemoryOfNodes, cancellationToken); // from then on everybody tells this node too
        writer.Confirmed = announcer.Announce;
        _running = Task.WhenAll(Task.Run(() => announcer.RunAsync(_stop.Token), CancellationToken.None), BeatAsync());
        Log.Started(log, map.Incarnation);
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        if (_isDisposed)
            return; // the host stops even what never started
        await _stop.CancelAsync();
        await _running.WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        try
        {
            await map.LeaveAsync();
        }
        catch (Exception e) when (RedisServer.IsAway(e))
        {
            // The entry expires.
        }
    }

    public void Dispose()
    {
        _isDisposed = true;
        _stop.Dispose();
        _beatNow.Dispose();
    }

    /// <summary>Subscribes, or does it again. What comes on a channel is taken one after another, in the order in which it comes.</summary>
    private async Task ListenAsync()
    {
        foreach (var channel in _channels)
            await channel.UnsubscribeAsync();
        _channels.Clear();
        await ListenToAsync(Hearing.Channel(map.Incarnation), announcement => Hear((byte[])announcement!));
        await ListenToAsync(Hearing.Questions(map.Incarnation), question => announcer.Answer((string)question!));

        async Task ListenToAsync(RedisChannel name, Action<RedisValue> take)
        {
            var channel = await redis.SubscribeAsync(name);
            _channels.Add(channel);
            channel.OnMessage(message => take(message.Message));
        }
    }

    private void Hear(byte[] bytes)
    {
        try
        {
            hearing.Hear(Announcement.Read(bytes));
        }
        catch (Exception e)
        {
            Log.NotUnderstood(log, e);
        }
    }

    private async Task BeatAsync()
    {
        var (isAway, asserted) = (false, time.GetTimestamp());
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                var (wasThere, living) = await map.RenewAsync();
                if (hearing.Notice([.. living.Where(node => node != map.Incarnation)], isBack: isAway))
                {
                    Log.Deaf(log);
                    await ListenAsync();
                }

                if (!wasThere || isAway || time.GetElapsedTime(asserted) >= Assertion)
                {
                    audience.AssertAll();
                    asserted = time.GetTimestamp();
                }

                if (isAway)
                    Log.Back(log);
                isAway = false;
            }
            catch (Exception e) when (RedisServer.IsAway(e))
            {
                if (!isAway)
                    Log.Away(log, e.Message.ReplaceLineEndings(" "));
                isAway = true;
            }

            try
            {
                await _beatNow.WaitAsync(Beat, _stop.Token);
            }
            catch (OperationCanceledException)
            {
                // The node stops.
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(41, LogLevel.Information, "This node is {Incarnation} in the map.")]
        public static partial void Started(ILogger log, string incarnation);

        [LoggerMessage(42, LogLevel.Warning,
            "Redis is away: {Reason} Messages from other nodes come a little later; limits are those of each node; presence is not known.")]
        public static partial void Away(ILogger log, string reason);

        [LoggerMessage(43, LogLevel.Information, "Redis is back.")]
        public static partial void Back(ILogger log);

        [LoggerMessage(52, LogLevel.Warning,
            "Nothing was heard for seconds from a node that is there. What it has told is read, and the channels are subscribed to again.")]
        public static partial void Deaf(ILogger log);

        [LoggerMessage(44, LogLevel.Error, "An announcement cannot be understood. Do all nodes run the same release?")]
        public static partial void NotUnderstood(ILogger log, Exception e);
    }
}
