using SimpleChat.Wire;

namespace SimpleChat.ScaleOut;

/// <summary>How long a node takes to say goodbye when it stops.</summary>
/// <param name="Time">Less than <see cref="HostOptions.ShutdownTimeout"/>, by what the last one needs to close.</param>
internal sealed record FarewellTime(TimeSpan Time)
{
    /// <summary>Every connection ends at once, as on a single server.</summary>
    public static FarewellTime AtOnce { get; } = new(TimeSpan.Zero);
}

/// <summary>
/// Ends every connection when the node stops, one after another over the <see cref="FarewellTime"/>. As long as that lasts the node
/// listens, and tells whoever asks that it stops. So a balancer notices, and the other nodes get the clients little by little.
/// </summary>
internal sealed class Farewell(Chat chat, Connections connections, FarewellTime over, TimeProvider time) : IHostedLifecycleService
{
    /// <summary>Nobody waits for less than a timer can measure.</summary>
    private static readonly TimeSpan Least = TimeSpan.FromMilliseconds(10);

    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Called before anything else stops.</summary>
    public async Task StoppingAsync(CancellationToken cancellationToken)
    {
        chat.Stop();
        var started = time.GetTimestamp();
        Connection[] open = [.. connections.All];
        for (var i = 0; i < open.Length; i++)
        {
            await UntilAsync(over.Time * i / open.Length);
            open[i].End(ConnectionEnd.ShuttingDown);
        }

        await UntilAsync(over.Time);

        async Task UntilAsync(TimeSpan after)
        {
            if (after - time.GetElapsedTime(started) is var left && left >= Least)
                await Task.Delay(left, time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
