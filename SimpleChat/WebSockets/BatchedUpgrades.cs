using System.IO.Pipelines;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;

namespace SimpleChat.WebSockets;

/// <summary>Puts an <see cref="OutgoingBatch"/> between each WebSocket and its network, before the framework takes the stream.</summary>
internal static class BatchedUpgrades
{
    /// <summary>
    /// Middleware: a WebSocket that is opened after it has a batch in front of the network. <see cref="BatchOf"/> finds the batch.
    /// </summary>
    public static Task Use(HttpContext context, RequestDelegate next)
    {
        if (context.Features.Get<IHttpUpgradeFeature>() is { IsUpgradableRequest: true } upgrade)
            context.Features.Set<IHttpUpgradeFeature>(new BatchedUpgrade(upgrade, context.Features.Get<IConnectionTransportFeature>()));
        if (context.Features.Get<IHttpExtendedConnectFeature>() is { IsExtendedConnect: true } connect)
            context.Features.Set<IHttpExtendedConnectFeature>(new BatchedConnect(connect));
        return next(context);
    }

    /// <summary>The batch in front of this request's network; null if there is no network, as in a test in memory.</summary>
    public static OutgoingBatch? BatchOf(HttpContext context) =>
        (context.Features.Get<IHttpUpgradeFeature>() as BatchedUpgrade)?.Batch
        ?? (context.Features.Get<IHttpExtendedConnectFeature>() as BatchedConnect)?.Batch;

    private sealed class BatchedUpgrade(IHttpUpgradeFeature upgrade, IConnectionTransportFeature? connection) : IHttpUpgradeFeature
    {
        public OutgoingBatch? Batch { get; private set; }

        public bool IsUpgradableRequest => upgrade.IsUpgradableRequest;

        public async Task<Stream> UpgradeAsync()
        {
            var stream = await upgrade.UpgradeAsync();
            return Batch = new OutgoingBatch(stream, connection?.Transport.Output ?? PipeWriter.Create(stream));
        }
    }

    private sealed class BatchedConnect(IHttpExtendedConnectFeature connect) : IHttpExtendedConnectFeature
    {
        public OutgoingBatch? Batch { get; private set; }

        public bool IsExtendedConnect => connect.IsExtendedConnect;

        public string? Protocol => connect.Protocol;

        public async ValueTask<Stream> AcceptAsync()
        {
            var stream = await connect.AcceptAsync();
            return Batch = new OutgoingBatch(stream, PipeWriter.Create(stream));
        }
    }
}
