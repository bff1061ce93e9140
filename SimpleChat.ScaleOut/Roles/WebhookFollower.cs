using SimpleChat.Storage;
using SimpleChat.Webhooks;

namespace SimpleChat.ScaleOut.Roles;

/// <summary>Follows what is registered, on a node that calls no webhooks because it has no database: a service calls them.</summary>
internal sealed class WebhookFollower(WebhookRegistry registry, WebhookOptions options, TimeProvider time) : BackgroundService
{
    /// <summary>How late the node hears of a registration over another one.</summary>
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (options.AllowedHosts.Length == 0)
            return; // there are no webhooks
        while (!stoppingToken.IsCancellationRequested)
        {
            await Task.Delay(Interval, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            try
            {
                await registry.RefreshAsync();
            }
            catch (Exception e) when (StorageFault.Is(e))
            {
                // Tried again. The writer says what is wrong.
            }
        }
    }
}
