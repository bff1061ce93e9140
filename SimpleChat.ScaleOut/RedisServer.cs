using SimpleChat.Settings;
using StackExchange.Redis;

namespace SimpleChat.ScaleOut;

/// <summary>
/// The Redis that all nodes share. Nothing in it is needed for what the chat promises: it says where users are, and carries announcements.
/// The client connects again by itself.
/// </summary>
internal sealed class RedisServer : IAsyncDisposable
{
    /// <summary>How often the first connection is tried. A machine on which everything starts at once may be slow.</summary>
    private const int StartAttempts = 3;

    private readonly string? _connectionString;
    private readonly string _node;
    private ConnectionMultiplexer? _redis;
    private volatile bool _isAway;

    public RedisServer(IConfiguration configuration, ScaleOutOptions options) =>
        (_connectionString, _node) = (configuration.GetConnectionString("Redis"), options.Node);

    /// <summary>The connection itself.</summary>
    public IConnectionMultiplexer Multiplexer => _redis!;

    /// <summary>Commands for whose outcome nobody waits.</summary>
    public IDatabase Commands => _redis!.GetDatabase();

    /// <summary>What is told to other nodes goes here.</summary>
    public ISubscriber Subscriber => _redis!.GetSubscriber();

    /// <summary>Called when Redis has stopped to answer, or is there again. It may be empty then.</summary>
    public event Action? Changed;

    /// <summary>Connects.</summary>
    /// <exception cref="StartException">It cannot be reached.</exception>
    public async Task ConnectAsync()
    {
        const string Example = "'redis.example.org:6379,password=…'";
        if (string.IsNullOrWhiteSpace(_connectionString))
            throw new StartException($"ConnectionStrings:Redis is missing; expected something like {Example}.");
        try
        {
            var options = ConfigurationOptions.Parse(_connectionString);
            options.ClientName = $"SimpleChat-{_node}";
            options.AbortOnConnectFail = true;
            if (!_connectionString.Contains("connectTimeout", StringComparison.OrdinalIgnoreCase))
                options.ConnectTimeout = 5000; // milliseconds, as below
            options.AsyncTimeout = 1000;
            options.SyncTimeout = 1000;
            options.BacklogPolicy = BacklogPolicy.FailFast;
            options.ReconnectRetryPolicy = new LinearRetry(250);
            options.HeartbeatInterval = TimeSpan.FromMilliseconds(250);
            options.KeepAlive = 2; // seconds
            _redis = await ConnectAsync(options);
            _redis.ConnectionRestored += (_, _) => Changed?.Invoke();
        }
        catch (ArgumentException e)
        {
            throw new StartException($"ConnectionStrings:Redis cannot be read: {e.Message} Expected something like {Example}.", e);
        }
        catch (RedisException e)
        {
            throw new StartException($"Redis cannot be reached where ConnectionStrings:Redis says: {Explain(e)}", e);
        }
    }

    /// <summary>
    /// Runs a script. A Redis that does not answer is waited for once, for a second. From then on scripts fail at once, until a probe has
    /// succeeded.
    /// </summary>
    /// <param name="script">What to run.</param>
    /// <param name="keys">Its KEYS.</param>
    /// <param name="values">Its ARGV.</param>
    /// <param name="isProbe">Whether it is to find out whether Redis answers again.</param>
    public async Task<RedisResult> EvaluateAsync(string script, RedisKey[] keys, RedisValue[]? values = null, bool isProbe = false)
    {
        if (_isAway && !isProbe)
            throw new RedisException("Redis does not answer.");
        try
        {
            var result = await Commands.ScriptEvaluateAsync(script, keys, values);
            _isAway &= !isProbe;
            return result;
        }
        catch (Exception e) when (IsAway(e) && !_isAway)
        {
            _isAway = true;
            Changed?.Invoke();
            throw;
        }
    }

    /// <summary>Whether an exception says that Redis is away.</summary>
    public static bool IsAway(Exception e) => e is RedisException or TimeoutException or ObjectDisposedException;

    public async ValueTask DisposeAsync()
    {
        if (_redis is not null)
            await _redis.DisposeAsync();
    }

    /// <summary>
    /// Hears a channel from now on. Redis has a connection for that alone, which may come a little later than the one for commands. It is
    /// waited for, for 5 seconds.
    /// </summary>
    public async Task<ChannelMessageQueue> SubscribeAsync(RedisChannel channel)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                return await Subscriber.SubscribeAsync(channel);
            }
            catch (Exception e) when (IsAway(e) && attempt < 50)
            {
                await Task.Delay(100);
            }
        }
    }

    private static async Task<ConnectionMultiplexer> ConnectAsync(ConfigurationOptions options)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                return await ConnectionMultiplexer.ConnectAsync(options);
            }
            catch (RedisConnectionException) when (attempt < StartAttempts)
            {
                // Once more.
            }
        }
    }

    private static string Explain(RedisException e)
    {
        var reason = e.InnerException?.Message ?? e.Message;
        return $"{reason.ReplaceLineEndings(" ").TrimEnd('.')}.";
    }
}
