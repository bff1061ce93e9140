using Microsoft.AspNetCore.Authentication;
using Microsoft.IdentityModel.Tokens;
using SimpleChat.Identity;
using SimpleChat.Limits;
using SimpleChat.Network;
using SimpleChat.Wire;

namespace SimpleChat.Http;

/// <summary>The user who sent the request. <see cref="Identify"/> finds it; an endpoint takes it as a parameter.</summary>
/// <param name="Share">What this user may use of the server.</param>
/// <param name="ExpiresAt">When the token stops being valid; null for <c>?user=</c>, which never does.</param>
/// <param name="Tcp">The connection that the request came over. It is the user's until the request ends. Null in a test in memory.</param>
internal sealed record CurrentUser(UserShare Share, DateTimeOffset? ExpiresAt, TcpConnection? Tcp) : IDisposable
{
    /// <summary>The user id: the <c>sub</c> claim of a JWT (RFC 7519, section 4.1.2), or <c>?user=</c> in Development.</summary>
    public string Id => Share.User;

    /// <summary>Marks an endpoint that needs an identity.</summary>
    public sealed record Required;

    private static readonly Refusal NoIdentity = new(null,
        "Say who you are with a JWT: Authorization: Bearer <token>, or where a browser cannot set a header ?access_token=<token>.",
        StatusCodes.Status401Unauthorized);
    private static readonly Refusal NoIdentityInDevelopment =
        NoIdentity with { Message = "Say who you are: ?user=alice will do in Development, or Authorization: Bearer <token>." };
    private static readonly Refusal ExpiredToken =
        NoIdentity with { Reason = "expired_token", Message = "Your token has ended, or is not valid yet. Get a new one." };
    private static readonly Refusal InvalidToken = NoIdentity with
    {
        Reason = "invalid_token",
        Message = "Your token is refused; the header WWW-Authenticate says what is wrong with it. The server knows the keys that it was " +
            "started with: restart it after dotnet user-jwts has made one.",
    };

    private static readonly Refusal MalformedId = new(null,
        $"A user id is 1 to {UserId.MaxLength} characters out of {UserId.Characters} (in a query, + is written %2B).");

    private static readonly Refusal ProviderAway = new(null,
        "The identity provider does not answer, so that your token cannot be checked. Keep it, and try again in a moment.",
        StatusCodes.Status503ServiceUnavailable)
    {
        Reason = "identity_provider_away",
    };

    /// <summary>Binds an endpoint's parameter to what <see cref="Identify"/> found.</summary>
    public static ValueTask<CurrentUser?> BindAsync(HttpContext context) => ValueTask.FromResult(context.Features.Get<CurrentUser>());

    public void Dispose()
    {
        Share.Release();
        Tcp?.Leave();
    }

    /// <summary>
    /// Middleware: lets a request to an endpoint marked <see cref="Required"/> through only with an identity. Its connection is a user's
    /// meanwhile.
    /// </summary>
    public static async Task Identify(HttpContext context, RequestDelegate next)
    {
        if (context.GetEndpoint()?.Metadata.GetMetadata<Required>() is null)
        {
            await next(context);
            return;
        }

        using var user = await IdentifyAsync(context);
        if (user is null)
            return;
        context.Features.Set(user);
        Turns.End(context);
        if (!await user.TryBeginAsync(context, Work.Request))
            return;
        try
        {
            await next(context);
        }
        finally
        {
            user.Share.EndRequest();
        }
    }

    /// <summary>
    /// Begins a request of the user, once the user's debt is paid. Every true is paired with one <see cref="UserShare.EndRequest"/>.
    /// </summary>
    /// <returns>False if the user has too many under way, which it answers, or if the caller has left.</returns>
    public async ValueTask<bool> TryBeginAsync(HttpContext context, double work)
    {
        if (!Share.TryBeginRequest(work))
        {
            await new RefusalResult(Refusal.TooManyRequests, Id).ExecuteAsync(context);
            return false;
        }

        if (Share.Debt == TimeSpan.Zero)
            return true; // to ask for RequestAborted makes an object, which a WebSocket would keep
        await Share.PayAsync(context.RequestAborted);
        if (!context.RequestAborted.IsCancellationRequested)
            return true;
        Share.EndRequest();
        return false;
    }

    /// <summary>
    /// Finds out who sent the request. The caller disposes of the result when the request ends. If nobody is found it answers the request
    /// and returns null. It answers 401 without an identity, 400 with a malformed user id, and 503 while nobody can check the token.
    /// </summary>
    public static async Task<CurrentUser?> IdentifyAsync(HttpContext context)
    {
        var isDevelopment = context.RequestServices.GetRequiredService<IHostEnvironment>().IsDevelopment();
        var (user, refusal) = isDevelopment && context.Request.Query.TryGetValue("user", out var name)
            ? (new Identity(name.ToString(), ExpiresAt: null), null)
            : await ReadTokenAsync(context, isDevelopment ? NoIdentityInDevelopment : NoIdentity);
        if (user is null)
            return await RefuseAsync(refusal!);
        if (!UserId.IsValid(user.Id))
            return await RefuseAsync(MalformedId);

        var share = context.RequestServices.GetRequiredService<UserShares>().Hold(user.Id);
        var current = new CurrentUser(share, user.ExpiresAt, TcpConnection.Of(context));
        if (current.Tcp?.TryUse() is not false)
            return current;
        share.Release();
        return await RefuseAsync(Refusal.ServerFull, user.Id);

        async Task<CurrentUser?> RefuseAsync(Refusal why, string? who = null)
        {
            await new RefusalResult(why, who).ExecuteAsync(context);
            return null;
        }
    }

    /// <summary>
    /// Reads who the token names, or why it is refused. A refusal then has the header <c>WWW-Authenticate</c>, which says what is wrong
    /// with the token.
    /// </summary>
    private static async Task<(Identity? User, Refusal? Refusal)> ReadTokenAsync(HttpContext context, Refusal noIdentity)
    {
        var token = await context.AuthenticateAsync();
        if (token.Failure is BearerTokens.ProviderAwayException)
            return (null, ProviderAway);
        if (token.Principal?.FindFirst("sub") is { } subject)
            return (new Identity(subject.Value, token.Properties!.ExpiresUtc), null);
        await context.ChallengeAsync();
        return (null, token.Failure switch
        {
            null => noIdentity,
            SecurityTokenInvalidLifetimeException => ExpiredToken,
            _ => InvalidToken,
        });
    }

    /// <summary>Who the request names. The id may be malformed.</summary>
    private sealed record Identity(string Id, DateTimeOffset? ExpiresAt);
}
