using SimpleChat.Http;
using SimpleChat.Network;
using SimpleChat.Settings;
using SimpleChat.Storage;
using SimpleChat.Wire;

namespace SimpleChat.LongPolling;

/// <summary>
/// Polling the inbox, <c>GET /inbox</c>. A short poll answers at once with what is undelivered, perhaps nothing. A long poll, with
/// <c>wait</c>, answers an empty inbox when a message comes.
/// </summary>
internal static class InboxPoll
{
    /// <summary>The longest wait that may be asked for, in seconds.</summary>
    public const int MaxWait = 60;

    /// <summary>
    /// The longest that a poll really waits, in seconds: proxies on the way give up after 60 (nginx: proxy_read_timeout).
    /// </summary>
    private const int LongestWait = 58;

    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapGroup("").WithMetadata(new CurrentUser.Required()).RefusesLikeAnyOther().AnswersStorageFaults()
            .MapGet("/inbox", HandleAsync)
            .WithSummary("The oldest undelivered messages: at once, or with wait (in seconds) as soon as there is one.")
            .Produces<InboxBody>();

    private static async Task<IResult> HandleAsync(
        HttpContext context, CurrentUser user, Chat chat, IMessageReader reader, ChatOptions options, TimeProvider time, int? wait = null)
    {
        if (wait is < 0 or > MaxWait)
            return new RefusalResult(new Refusal(null, $"\"wait\" must be a whole number of seconds from 0 to {MaxWait}."));
        var inbox = await ReadAsync(context, user, reader);
        if (!inbox.IsEmpty || wait is null or 0)
            return inbox;
        inbox.Drop();

        // A connection like any other, which wakes this request. The second look finds what was committed before it joined.
        var connection = new Connection(user.Share, messagesOnly: true);
        if (await chat.JoinAsync(connection, position: null) is { } refusal)
            return new RefusalResult(refusal);
        using var peer = PeerSocket.Watch(context, options, time);
        try
        {
            using var deadline = new CancellationTokenSource(Patience(wait.Value, user.ExpiresAt - time.GetUtcNow()), time);
            using var patience = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, context.RequestAborted);
            using var impatience = patience.Token.Register(connection.Signal.Set);
            while ((inbox = await ReadAsync(context, user, reader)).IsEmpty && connection.Ending is null
                && !patience.IsCancellationRequested)
            {
                inbox.Drop();
                await connection.Signal.WaitAsync();
            }
        }
        finally
        {
            chat.Leave(connection);
        }

        return inbox.IsEmpty && connection.Ending == ConnectionEnd.ShuttingDown ? new RefusalResult(Refusal.ServerStopping) : inbox;
    }

    /// <summary>How long a poll waits: no longer than its token is good for, and always a little less than <see cref="MaxWait"/>.</summary>
    private static TimeSpan Patience(int wait, TimeSpan? untilExpiry)
    {
        var patience = TimeSpan.FromSeconds(Math.Min(wait, LongestWait));
        return untilExpiry is { } left && left < patience ? left > TimeSpan.Zero ? left : TimeSpan.Zero : patience;
    }

    private static Task<PageBody> ReadAsync(HttpContext context, CurrentUser user, IMessageReader reader) => PageBody.OfAsync(
        "messages", reader.ReadInbox(user.Id, after: 0, upTo: long.MaxValue), Page.Size,
        (frames, message) => frames.Body(message),
        user.Share, context.RequestAborted, saysMore: false);
}
