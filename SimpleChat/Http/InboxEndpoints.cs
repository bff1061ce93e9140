using System.ComponentModel;
using SimpleChat.Limits;
using SimpleChat.Settings;
using SimpleChat.Storage;
using SimpleChat.Wire;

namespace SimpleChat.Http;

/// <summary>The chat over HTTP, for clients without a WebSocket: they send, acknowledge, and read the history.</summary>
internal static class InboxEndpoints
{
    /// <summary>Messages in a page of history: by default, and at most.</summary>
    public const int DefaultLimit = 50, MaxLimit = 200;

    /// <summary>How many days back history goes: by default, and at most.</summary>
    public const int DefaultDays = 10, MaxDays = 36_500;

    public static void Map(IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("").WithMetadata(new CurrentUser.Required()).RefusesLikeAnyOther().AnswersStorageFaults();
        group.MapPost("/messages", SendAsync).WithSummary("Sends a message. Safe to repeat with the same clientMessageId.")
            .Accepts<SendBody>("application/json").RefusesBodies().Refuses(StatusCodes.Status409Conflict)
            .Produces<MessageBody>(StatusCodes.Status201Created).Produces<MessageBody>(StatusCodes.Status200OK);
        group.MapGet("/messages", HistoryAsync)
            .WithSummary("A page of history, oldest first: the newest messages, those below before, or the oldest above after.")
            .Produces<HistoryBody>().Refuses(StatusCodes.Status409Conflict);
        group.MapGet("/conversations", ConversationsAsync)
            .WithSummary("Whom the user has talked with, the most recent first, each with its last message: " +
                "a page, those whose last message is below before.")
            .Produces<ConversationsBody>();
        group.MapPost("/inbox/ack", AckAsync).WithSummary("Marks messages as delivered: they leave the inbox, and their senders are told.")
            .Accepts<AckBody>("application/json").RefusesBodies()
            .Produces(StatusCodes.Status204NoContent);
        group.MapGet("/users/{id}/presence", PresenceAsync).WithSummary("Whether a user has a connection open.")
            .Produces<PresenceBody>();
    }

    private static async Task<IResult> SendAsync(HttpContext context, CurrentUser user, Chat chat, ChatOptions options, TimeProvider time)
    {
        var (frame, refusal) = await ReadBodyAsync(context, user, FrameType.Send, options, time);
        if (refusal is not null)
            return new RefusalResult(refusal);
        var reply = new Reply();
        var draft = new Draft(user.Id, frame.To, frame.Text, frame.ClientMessageId, time.GetUtcNow().ToUnixTimeMilliseconds());
        var send = new Send(chat, user.Share, draft, reply);
        await send.ReceivedAsync();
        refusal = await reply.Outcome;
        if (refusal is not null)
            return new RefusalResult(refusal);
        var frames = FrameWriter.Pool.Get();
        var answer = TypedResults.Text(frames.Body(reply.Message!).Span, "application/json; charset=utf-8",
            send.IsRepeat ? StatusCodes.Status200OK : StatusCodes.Status201Created);
        FrameWriter.Pool.Return(frames); // the answer is a copy
        return answer;
    }

    private static async Task<IResult> AckAsync(HttpContext context, CurrentUser user, Chat chat, ChatOptions options, TimeProvider time)
    {
        var (frame, refusal) = await ReadBodyAsync(context, user, FrameType.Ack, options, time);
        if (refusal is not null)
            return new RefusalResult(refusal);
        var reply = new Reply();
        user.Share.Charge(Work.Ack(frame.Ids.Count));
        await chat.Writer.EnqueueAsync(new Delivery(chat, user.Share, IdRange.Of(frame.Ids), frame.Ids.Count, reply));
        refusal = await reply.Outcome;
        return refusal is null ? TypedResults.NoContent() : new RefusalResult(refusal);
    }

    private static async Task<IResult> HistoryAsync(
        HttpContext context, CurrentUser user, IMessageReader reader, TimeProvider time,
        string? with = null, long? before = null, [Description(ApiDescription.Position)] string? after = null,
        int limit = DefaultLimit, int days = DefaultDays)
    {
        if (with is not null && !UserId.IsValid(with))
            return Invalid(
                $"\"with\" must be a user id: 1 to {UserId.MaxLength} characters out of {UserId.Characters} " +
                "(in a query, + is written %2B).");
        if (before is < 0)
            return InvalidBefore;
        if (limit is < 1 or > MaxLimit)
            return InvalidLimit;
        if (days is < 1 or > MaxDays)
            return Invalid($"\"days\" must be from 1 to {MaxDays}.");
        var (position, unknown) = await reader.LocateAsync(user.Id, after);
        if (unknown is not null)
            return new RefusalResult(unknown);

        var since = time.GetUtcNow().AddDays(-days).ToUnixTimeMilliseconds();
        return await PageBody.OfAsync("messages", reader.ReadHistory(user.Id, with, position, before ?? long.MaxValue, since), limit,
            (frames, row) => frames.Body(row), user.Share, context.RequestAborted, reversed: position is null);
    }

    /// <summary>Answers with the users whom the user has talked with.</summary>
    private static async Task<IResult> ConversationsAsync(
        HttpContext context, CurrentUser user, IMessageReader reader, long? before = null, int limit = DefaultLimit)
    {
        if (before is < 0)
            return InvalidBefore;
        if (limit is < 1 or > MaxLimit)
            return InvalidLimit;
        user.Share.Charge(Work.Conversations);
        return await PageBody.OfAsync("conversations", reader.ReadConversations(user.Id, before ?? long.MaxValue), limit,
            (frames, row) => frames.Body(row), user.Share, context.RequestAborted);
    }

    private static async Task<IResult> PresenceAsync(string id, IAudience audience) => UserId.IsValid(id)
        ? await audience.IsOnlineAsync(id) is { } isOnline
            ? TypedResults.Json(new PresenceBody(id, isOnline), ChatJson.Wire.PresenceBody)
            : new RefusalResult(Unknown)
        : Invalid($"A user id is 1 to {UserId.MaxLength} characters out of {UserId.Characters}.");

    private static readonly Refusal Unknown = new(null,
        "Who is online is not known just now. Try again in a moment.", StatusCodes.Status503ServiceUnavailable);

    private static RefusalResult InvalidBefore => Invalid("\"before\" must be the id of a message.");

    private static RefusalResult InvalidLimit => Invalid($"\"limit\" must be from 1 to {MaxLimit}.");

    private static RefusalResult Invalid(string what) => new(new Refusal(null, what));

    /// <summary>Reads a request's body as a frame is read: with the same JSON, limits and errors.</summary>
    private static async ValueTask<(IncomingFrame Frame, Refusal? Refusal)> ReadBodyAsync(
        HttpContext context, CurrentUser user, FrameType type, ChatOptions options, TimeProvider time)
    {
        var (frame, refusal) = await Body.ReadAsync(context, user.Share, options, time, json =>
        {
            var read = IncomingFrame.ReadBody(json.Span, type);
            user.Share.Charge(Work.Frame(json.Length, read.Text.Length));
            return read;
        });
        return (frame, refusal ?? frame.Refusal);
    }
}
