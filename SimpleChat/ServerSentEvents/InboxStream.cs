using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;
using Microsoft.OpenApi;

namespace SimpleChat.ServerSentEvents;

/// <summary>
/// Carries one <see cref="Connection"/> over one Server-Sent Events stream, <c>GET /inbox/stream</c>
/// (https://html.spec.whatwg.org/multipage/server-sent-events.html). Writing delivers nothing here: a client acknowledges with
/// <c>POST /inbox/ack</c>.
/// </summary>
internal sealed class InboxStream(
    HttpContext context, Connection connection, CurrentUser user,
    ChatService chat, ChatOptions options, TimeProvider time, ChatMetrics metrics) : IDisposable
{
    /// <summary>What EventSource is told to wait before it connects again. A second, as long as a restart takes.</summary>
    private static readonly byte[] Reconnection = "retry: 1000\n\n"u8.ToArray();

    /// <summary>A comment: readers skip it, and everything on the way sees that the line is alive.</summary>
    private static readonly byte[] Heartbeat = ":\n\n"u8.ToArray();

    private ITimer? _heart, _stall;
    private bool _beatIsDue;

    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapGet("/inbox/stream", HandleAsync)
            .WithMetadata(new CurrentUser.Required(), new CurrentUser.TokenInQuery(), new ApiDescription.Position("Last-Event-ID", ParameterLocation.Header))
            .WithSummary("Server-Sent Events: undelivered messages first, then live ones. Last-Event-ID resumes after that message.")
            .Produces<string>(StatusCodes.Status200OK, "text/event-stream")
            .ProducesProblem(StatusCodes.Status400BadRequest).ProducesProblem(StatusCodes.Status401Unauthorized)
            .ProducesProblem(StatusCodes.Status403Forbidden).ProducesProblem(StatusCodes.Status409Conflict)
            .ProducesProblem(StatusCodes.Status429TooManyRequests).ProducesProblem(StatusCodes.Status503ServiceUnavailable);

    public void Dispose()
    {
        _heart?.Dispose();
        _stall?.Dispose();
    }

    private static async Task HandleAsync(
        HttpContext context, CurrentUser user,
        ChatService chat, ChatOptions options, TimeProvider time, ChatMetrics metrics)
    {
        var connection = new Connection(user.Share, messagesOnly: true);
        var last = context.Request.Headers["Last-Event-ID"].ToString();
        if (chat.Join(connection, last.Length == 0 ? null : last) is { } refusal) // an empty one is none
        {
            await new Refusal(refusal).ExecuteAsync(context);
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
        context.Response.Headers["X-Accel-Buffering"] = "no"; // nginx would hold back what is small; Cache-Control comes with the result
        if (context.Features.Get<IHttpMinResponseDataRateFeature>() is { } rate)
            rate.MinDataRate = null; // Chat:SendTimeout says how slow a reader may be
        using var gone = context.RequestAborted.Register(() => connection.End(ConnectionEnd.PeerGone));
        _stall = time.CreateTimer(_ => Stalled(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _heart = time.CreateTimer(_ => Beat(), null, UntilBeat(), Timeout.InfiniteTimeSpan);
        try
        {
            await TypedResults.ServerSentEvents(EventsAsync()).ExecuteAsync(context);
        }
        catch (Exception e) when (e is OperationCanceledException or IOException && context.RequestAborted.IsCancellationRequested)
        {
            connection.End(ConnectionEnd.PeerGone);
        }
    }

    /// <summary>
    /// The stream. While it makes its next event nobody else writes to the response: that is when it writes what an event cannot carry.
    /// A write that takes longer than <see cref="ChatOptions.SendTimeout"/> ends it.
    /// </summary>
    private async IAsyncEnumerable<SseItem<string>> EventsAsync([EnumeratorCancellation] CancellationToken cancel = default)
    {
        await WriteAsync(Reconnection, cancel);
        using var drain = chat.DrainOf(connection);
        while (connection.Ending is null)
        {
            var messages = drain.Next().Messages;
            foreach (var message in messages)
            {
                _stall!.Change(options.SendTimeout, Timeout.InfiniteTimeSpan);
                yield return new SseItem<string>(Data(message), "message")
                {
                    EventId = Position.Of(message).ToString(),
                };
                _stall.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
            }

            metrics.Pushed(messages.Count);
            if (Interlocked.Exchange(ref _beatIsDue, false))
            {
                await WriteAsync(Heartbeat, cancel);
                _heart!.Change(UntilBeat(), Timeout.InfiniteTimeSpan);
            }

            if (messages.Count == 0 && !drain.HasMore)
                await connection.WaitAsync();
        }
    }

    private static string Data(Message message)
    {
        var frames = FrameWriter.Pool.Get();
        var data = System.Text.Encoding.UTF8.GetString(frames.Body(message).Span);
        FrameWriter.Pool.Return(frames);
        return data;
    }

    private async ValueTask WriteAsync(byte[] bytes, CancellationToken cancel)
    {
        _stall!.Change(options.SendTimeout, Timeout.InfiniteTimeSpan);
        await context.Response.Body.WriteAsync(bytes, cancel);
        _stall.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    private void Stalled()
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
        Volatile.Write(ref _beatIsDue, true);
        connection.Wake();
    }
}
