using System.ComponentModel;
using System.Text;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Mvc;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;
using SimpleChat.Http;
using SimpleChat.Identity;
using SimpleChat.Monitoring;
using SimpleChat.Network;
using SimpleChat.Settings;
using SimpleChat.Wire;

namespace SimpleChat.ServerSentEvents;

/// <summary>
/// Carries one <see cref="Connection"/> over one Server-Sent Events stream, <c>GET /inbox/stream</c>
/// (https://html.spec.whatwg.org/multipage/server-sent-events.html). Writing delivers nothing here: a client acknowledges with
/// <c>POST /inbox/ack</c>.
/// </summary>
internal sealed class InboxStream(
    HttpContext context, Connection connection, CurrentUser user,
    Chat chat, ChatOptions options, TimeProvider time, Metrics metrics) : IDisposable
{
    /// <summary>How long EventSource waits before it connects again: a second, as long as a restart takes.</summary>
    private static readonly byte[] Reconnection = "retry: 1000\n\n"u8.ToArray();

    /// <summary>A comment. Readers skip it, and proxies on the way see that the line is alive.</summary>
    private static readonly byte[] Heartbeat = ":\n\n"u8.ToArray();

    private static readonly byte[] EndOfEvent = "\n\n"u8.ToArray();

    private StallWatch? _stall;

    private ITimer? _heart;
    private bool _beatIsDue;

    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapGet("/inbox/stream", HandleAsync)
            .WithMetadata(new CurrentUser.Required(), new TokenInQuery())
            .WithSummary("Server-Sent Events: undelivered messages first, then live ones. Last-Event-ID resumes after that message.")
            .Produces<string>(StatusCodes.Status200OK, "text/event-stream")
            .RefusesLikeAnyOther().Refuses(StatusCodes.Status409Conflict);

    public void Dispose() => _heart?.Dispose();

    private static async Task HandleAsync(
        HttpContext context, CurrentUser user, [FromHeader(Name = "Last-Event-ID"), Description(ApiDescription.Position)] string? last,
        Chat chat, ChatOptions options, TimeProvider time, Metrics metrics)
    {
        var connection = new Connection(user.Share, messagesOnly: true);
        if (await chat.JoinAsync(connection, last?.Length == 0 ? null : last) is { } refusal) // an empty header is none
        {
            await new RefusalResult(refusal).ExecuteAsync(context);
            return;
        }

        try
        {
            using var stream = new InboxStream(context, connection, user, chat, options, time, metrics);
            await stream.RunAsync();
        }
        finally
        {
            chat.Leave(connection);
        }
    }

    /// <summary>Runs until the client leaves, the identity expires or the server stops.</summary>
    private async Task RunAsync()
    {
        context.Response.ContentType = "text/event-stream";
        context.Response.Headers["X-Accel-Buffering"] = "no"; // nginx would hold back what is small
        context.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();
        if (context.Features.Get<IHttpMinResponseDataRateFeature>() is { } rate)
            rate.MinDataRate = null; // Chat:SendTimeout says how slow a reader may be
        using var peer = PeerSocket.Watch(context, options, time);
        using var gone = context.RequestAborted.Register(() => connection.End(ConnectionEnd.PeerGone));
        _heart = time.CreateTimer(_ => Beat(), null, UntilBeat(), Timeout.InfiniteTimeSpan);
        try
        {
            await WriteEventsAsync();
        }
        catch (Exception e) when (e is OperationCanceledException or IOException && context.RequestAborted.IsCancellationRequested)
        {
            connection.End(ConnectionEnd.PeerGone);
        }
    }

    private async Task WriteEventsAsync()
    {
        var pieces = new Pieces(context.Response.BodyWriter, PassOnAsync);
        await pieces.WriteAsync(Reconnection);
        await pieces.FlushAsync();
        using var drain = chat.DrainOf(connection);
        while (connection.Ending is null)
        {
            var messages = drain.Next().Messages;
            var frames = FrameWriter.Pool.Get();
            foreach (var message in messages)
            {
                await pieces.WriteAsync(Encoding.ASCII.GetBytes($"event: message\nid: {Position.Of(message)}\ndata: "));
                await pieces.WriteAsync(frames.Body(message)); // one line: JSON escapes line breaks
                await pieces.WriteAsync(EndOfEvent);
            }

            FrameWriter.Pool.Return(frames);
            if (Interlocked.Exchange(ref _beatIsDue, false))
                await pieces.WriteAsync(Heartbeat);
            await pieces.FlushAsync();
            metrics.Pushed(messages.Count);
            if (messages.Count == 0 && !drain.HasMore)
                await connection.Signal.WaitAsync();
        }
    }

    /// <summary>
    /// Waits until the operating system has what was written. A peer that takes nothing for <see cref="ChatOptions.SendTimeout"/> is cut
    /// off.
    /// </summary>
    private ValueTask PassOnAsync()
    {
        _stall ??= new StallWatch(
            () => connection.Ending is not null, Cut, context.Features.Get<IConnectionSocketFeature>()?.Socket, options.SendTimeout, time);
        return _stall.WatchAsync(FlushAsync());
    }

    private async ValueTask FlushAsync()
    {
        var flush = await context.Response.BodyWriter.FlushAsync(context.RequestAborted);
        if (flush.IsCompleted || context.RequestAborted.IsCancellationRequested) // for a peer that is gone Kestrel takes everything
            connection.End(ConnectionEnd.PeerGone);
    }

    private void Cut()
    {
        connection.End(ConnectionEnd.PeerStalled);
        context.Abort();
    }

    /// <summary>As often as a silent WebSocket is pinged, and once when the identity expires.</summary>
    private TimeSpan UntilBeat()
    {
        var left = user.ExpiresAt - time.GetUtcNow() ?? options.KeepAliveInterval;
        return left < TimeSpan.Zero ? TimeSpan.Zero : left < options.KeepAliveInterval ? left : options.KeepAliveInterval;
    }

    private void Beat()
    {
        if (user.ExpiresAt <= time.GetUtcNow())
            connection.End(ConnectionEnd.IdentityExpired);
        else
            _heart!.Change(UntilBeat(), Timeout.InfiniteTimeSpan);
        Volatile.Write(ref _beatIsDue, true);
        connection.Signal.Set();
    }
}
