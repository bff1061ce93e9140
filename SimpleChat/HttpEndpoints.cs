using Microsoft.Data.Sqlite;

namespace SimpleChat;

/// <summary>The inbox over HTTP, for when no WebSocket can be had: send, poll, acknowledge, look back.</summary>
internal static class HttpEndpoints
{
    /// <summary>The longest wait that a long poll may ask for, in seconds.</summary>
    public const int MaxWait = 60;

    /// <summary>The longest that one really waits, in seconds: proxies on the way give up after 60 (nginx: proxy_read_timeout).</summary>
    private const int LongestWait = 58;

    /// <summary>Messages in a page of history, unless the caller says otherwise, and at most.</summary>
    public const int DefaultLimit = 50, MaxLimit = 200;

    /// <summary>How far history goes back, unless the caller says otherwise, and at most, in days.</summary>
    public const int DefaultDays = 10, MaxDays = 36_500;

    public static void Map(IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("").WithMetadata(new CurrentUser.Required()).RefusesLikeAnyOther().AddEndpointFilter(AnswerStorageFaults);
        group.MapPost("/messages", SendAsync).WithSummary("Sends a message. Safe to repeat with the same clientMessageId.")
            .Accepts<SendBody>("application/json").RefusesBodies().Refuses(StatusCodes.Status409Conflict)
            .Produces<MessageBody>(StatusCodes.Status201Created).Produces<MessageBody>(StatusCodes.Status200OK);
        group.MapGet("/messages", HistoryAsync).WithSummary("A page of history, oldest first: the newest messages, those below before, or the oldest above after.")
            .Produces<HistoryBody>().Refuses(StatusCodes.Status409Conflict);
        group.MapGet("/conversations", ConversationsAsync)
            .WithSummary("Whom the user has talked with, the most recent first, each with its last message: a page, those whose last message is below before.")
            .Produces<ConversationsBody>();
        group.MapGet("/inbox", InboxAsync).WithSummary("The oldest undelivered messages: at once, or with wait (in seconds) as soon as there is one.")
            .Produces<InboxBody>();
        group.MapPost("/inbox/ack", AckAsync).WithSummary("Marks messages as delivered: they leave the inbox, and their senders are told.")
            .Accepts<AckBody>("application/json").RefusesBodies()
            .Produces(StatusCodes.Status204NoContent);
        group.MapGet("/users/{id}/presence", Presence).WithSummary("Whether a user has a connection open.")
            .Produces<PresenceBody>();
    }

    private static async Task<IResult> SendAsync(HttpContext context, CurrentUser user, ChatService chat, ChatOptions options, TimeProvider time)
    {
        var (frame, error) = await ReadBodyAsync(context, user, ClientFrameType.Send, options, time);
        if (error is not null)
            return new Refusal(error);
        var send = new RequestSend(chat, user.Share, new Draft(user.Id, frame.To, frame.Text, frame.ClientMessageId), time.GetUtcNow().ToUnixTimeMilliseconds());
        await chat.SendAsync(send);
        error = await send.Stored;
        if (error is not null)
            return new Refusal(error);
        return new MessageResult(send.Message!, send.IsRepeat ? StatusCodes.Status200OK : StatusCodes.Status201Created);
    }

    private static async Task<IResult> AckAsync(HttpContext context, CurrentUser user, ChatService chat, ChatOptions options, TimeProvider time)
    {
        var (frame, error) = await ReadBodyAsync(context, user, ClientFrameType.Ack, options, time);
        if (error is not null)
            return new Refusal(error);
        var reply = new TaskCompletionSource<ChatError?>(TaskCreationOptions.RunContinuationsAsynchronously);
        user.Share.Charge(Work.Ack(frame.Ids.Count));
        await chat.DeliverAsync(new PendingAck(chat, user.Share, frame.Ids, reply.SetResult));
        error = await reply.Task;
        return error is null ? TypedResults.NoContent() : new Refusal(error);
    }

    /// <summary>Short poll, and long poll: an empty inbox is answered when a message comes, not when a timer ticks.</summary>
    private static async Task<IResult> InboxAsync(HttpContext context, CurrentUser user, ChatService chat, MessageStore store, ChatOptions options, TimeProvider time, int? wait = null)
    {
        if (wait is < 0 or > MaxWait)
            return Invalid($"\"wait\" must be a whole number of seconds from 0 to {MaxWait}.");
        var inbox = await ReadInboxAsync(context, user, store);
        if (!inbox.IsEmpty || wait is null or 0)
            return inbox;
        inbox.Drop();

        // A connection like any other; this request drains it. What was committed before it joined the second look finds.
        var connection = new Connection(user.Share, messagesOnly: true);
        if (chat.Join(connection, position: null) is { } refusal)
            return new Refusal(refusal);
        using var peer = PeerSocket.Watch(context, options, time);
        try
        {
            using var deadline = new CancellationTokenSource(Patience(wait.Value, user.ExpiresAt - time.GetUtcNow()), time);
            using var patience = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, context.RequestAborted);
            using var impatience = patience.Token.Register(connection.Wake);
            while ((inbox = await ReadInboxAsync(context, user, store)).IsEmpty && connection.Ending is null && !patience.IsCancellationRequested)
            {
                inbox.Drop();
                await connection.WaitAsync();
            }
        }
        finally
        {
            chat.Leave(connection);
        }

        return inbox.IsEmpty && connection.Ending == ConnectionEnd.ShuttingDown ? new Refusal(ChatError.ServerStopping) : inbox;
    }

    /// <summary>How long a poll waits: no longer than its token is good for, and always a little less than <see cref="MaxWait"/>.</summary>
    private static TimeSpan Patience(int wait, TimeSpan? untilExpiry)
    {
        var patience = TimeSpan.FromSeconds(Math.Min(wait, LongestWait));
        return untilExpiry is { } left && left < patience ? left > TimeSpan.Zero ? left : TimeSpan.Zero : patience;
    }

    private static async Task<IResult> HistoryAsync(
        HttpContext context, CurrentUser user, ChatService chat, MessageStore store, TimeProvider time,
        string? with = null, long? before = null, string? after = null, int limit = DefaultLimit, int days = DefaultDays)
    {
        if (with is not null && !UserId.IsValid(with))
            return Invalid($"\"with\" must be a user id: 1 to {UserId.MaxLength} characters out of {UserId.Characters} (in a query, + is written %2B).");
        if (before is < 0)
            return InvalidBefore;
        if (limit is < 1 or > MaxLimit)
            return InvalidLimit;
        if (days is < 1 or > MaxDays)
            return Invalid($"\"days\" must be from 1 to {MaxDays}.");
        if (chat.Locate(user.Id, after, out var position) is { } lost)
            return new Refusal(lost);

        var since = time.GetUtcNow().AddDays(-days).ToUnixTimeMilliseconds();
        return await PageBody.OfAsync("messages", store.ReadHistory(user.Id, with, position, before ?? long.MaxValue, since), limit,
            (frames, row) => frames.Body(row), user.Share, context.RequestAborted, reversed: position is null);
    }

    /// <summary>Whom the user has talked with.</summary>
    private static async Task<IResult> ConversationsAsync(
        HttpContext context, CurrentUser user, MessageStore store, long? before = null, int limit = DefaultLimit)
    {
        if (before is < 0)
            return InvalidBefore;
        if (limit is < 1 or > MaxLimit)
            return InvalidLimit;
        user.Share.Charge(Work.Conversations);
        return await PageBody.OfAsync("conversations", store.ReadConversations(user.Id, before ?? long.MaxValue), limit,
            (frames, row) => frames.Body(row), user.Share, context.RequestAborted);
    }

    private static IResult Presence(string id, ChatService chat) => UserId.IsValid(id)
        ? TypedResults.Json(new PresenceBody(id, chat.IsOnline(id)), ChatJson.Wire.PresenceBody)
        : Invalid($"A user id is 1 to {UserId.MaxLength} characters out of {UserId.Characters}.");

    /// <summary>The oldest undelivered messages to the user.</summary>
    private static Task<PageBody> ReadInboxAsync(HttpContext context, CurrentUser user, MessageStore store) => PageBody.OfAsync(
        "messages", store.ReadInbox(user.Id, after: 0, upTo: long.MaxValue), MessageStore.PageSize, (frames, message) => frames.Body(message),
        user.Share, context.RequestAborted, saysMore: false);

    private static Refusal InvalidBefore => Invalid("\"before\" must be the id of a message.");

    private static Refusal InvalidLimit => Invalid($"\"limit\" must be from 1 to {MaxLimit}.");

    private static Refusal Invalid(string what) => new(new ChatError(null, what));

    /// <summary>Reads a request's body as it reads a frame: the same JSON, the same limits, the same errors.</summary>
    private static async ValueTask<(ClientFrame Frame, ChatError? Error)> ReadBodyAsync(
        HttpContext context, CurrentUser user, ClientFrameType type, ChatOptions options, TimeProvider time)
    {
        var (frame, error) = await Body.ReadAsync(context, options, time, json =>
        {
            var read = ClientFrame.ReadBody(json.Span, type);
            user.Share.Charge(Work.Frame(json.Length, read.Text.Length));
            return read;
        });
        return (frame, error ?? frame.Error);
    }

    private static async ValueTask<object?> AnswerStorageFaults(EndpointFilterInvocationContext invocation, EndpointFilterDelegate next)
    {
        try
        {
            return await next(invocation);
        }
        catch (SqliteException)
        {
            return new Refusal(ChatError.StorageUnavailable);
        }
    }
}
