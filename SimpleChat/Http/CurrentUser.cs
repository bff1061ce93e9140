using Microsoft.AspNetCore.Authentication;
using Microsoft.IdentityModel.Tokens;
using SimpleChat.Identity;
using SimpleChat.Limits;
using SimpleChat.Network;
using SimpleChat.Wire;

namespace SimpleChat.Http;

/// <summary>Who is asking. Found by <see cref="Identify"/>; an endpoint takes it as a parameter.</summary>
/// <param name="Share">What this user may have of the server.</param>
/// <param name="ExpiresAt">When the token stops being valid; null for <c>?user=</c>, which never does.</param>
/// <param name="Tcp">What the request came over, the user's until it ends; null in a test in memory.</param>
internal sealed record CurrentUser(UserShare Share, DateTimeOffset? ExpiresAt, TcpConnection? Tcp) : IDisposable
{
    /// <summary>The user id: <c>?user=</c> in Development, the <c>sub</c> claim of a JWT (RFC 7519, section 4.1.2) otherwise.</summary>
    public string Id => Share.User;

    /// <summary>Marks an endpoint that answers nobody without an identity.</summary>
    public sealed record Required;

    private static readonly Refusal NoIdentity = new(null,
        "Say who you are with a JWT: Authorization: Bearer <token>, or where a browser cannot set a header ?access_token=<token>.",
        StatusCodes.Status401Unauthorized);
    private static readonly Refusal NoIdentityInDevelopment =
        NoIdentity with { Message = "Say who you are: ?user=alice will do in Development, or Authorization: Bearer <token>." };
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

    /// <summary>The request is over.</summary>
    public void Dispose()
    {
        Share.Release();
        Tcp?.Leave();
    }

    /// <summary>
    /// Middleware: a request to an endpoint marked <see cref="Required"/> goes on only with an identity. Its connection is a user's
    /// meanwhile.
    /// </summary>
    public static async Task Identify(HttpContext context, RequestDelegate next)
    {
        if (context.GetEndpoint()?.Metadata.GetMetadata<Required>() is not null)
        {
            if (await IdentifyAsync(context, context.RequestServices.GetRequiredService<IHostEnvironment>()) is not { } user)
                return;
            context.Features.Set(user);
            Turns.End(context);
            await ServeAsync(context, user, next);
            return;
        }

        await next(context);
    }

    /// <summary>Goes on with the request, unless the user has too many under way; waits first if the user is in debt.</summary>
    private static async Task ServeAsync(HttpContext context, CurrentUser user, RequestDelegate next)
    {
        using var _ = user;
        if (!user.Share.TryBeginRequest(Work.Request))
        {
            await new RefusalResult(Refusal.TooManyRequests).ExecuteAsync(context);
            return;
        }

        try
        {
            await user.Share.PayAsync(context.RequestAborted);
            if (!context.RequestAborted.IsCancellationRequested)
                await next(context);
        }
        finally
        {
            user.Share.EndRequest();
        }
    }

    /// <summary>
    /// Says who is asking, to be disposed of when the request ends; or answers it: without an identity 401, with a malformed user id 400,
    /// while nobody can check the token 503; then the result is null.
    /// </summary>
    /// <param name="context">The request.</param>
    /// <param name="environment">Whether <c>?user=</c> will do.</param>
    /// <param name="services">For a request that stays for days: its services afterwards. What reading a token takes then has a scope of
    /// its own, which ends here.</param>
    public static async Task<CurrentUser?> IdentifyAsync(
        HttpContext context, IHostEnvironment environment, IServiceProvider? services = null)
    {
        var noIdentity = environment.IsDevelopment() ? NoIdentityInDevelopment : NoIdentity;
        var (user, refusal) = environment.IsDevelopment() && context.Request.Query.TryGetValue("user", out var name)
            ? (new Identity(name.ToString(), ExpiresAt: null), null)
            : services is null ? await ReadTokenAsync(context, noIdentity) : await ReadTokenAsync(context, noIdentity, services);
        if (user is null)
        {
            await new RefusalResult(refusal!).ExecuteAsync(context);
            return null;
        }

        if (!UserId.IsValid(user.Id))
        {
            await new RefusalResult(MalformedId).ExecuteAsync(context);
            return null;
        }

        var shares = (services ?? context.RequestServices).GetRequiredService<UserShares>();
        var current = new CurrentUser(shares.Hold(user.Id), user.ExpiresAt, TcpConnection.Of(context));
        if (current.Tcp?.TryUse() is not false)
            return current;
        current.Share.Release();
        await new RefusalResult(Refusal.ServerFull, user.Id).ExecuteAsync(context);
        return null;
    }

    /// <summary>
    /// Whom the token names, or why nobody; an answer to a token that does not count then has its <c>WWW-Authenticate</c>, which says what
    /// is wrong with it.
    /// </summary>
    private static async Task<(Identity? User, Refusal? RefusalResult)> ReadTokenAsync(HttpContext context, Refusal noIdentity)
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
            SecurityTokenInvalidLifetimeException => noIdentity with { Reason = "expired_token" },
            _ => noIdentity with { Reason = "invalid_token" },
        });
    }

    /// <summary>The same in a scope that ends with it.</summary>
    private static async Task<(Identity? User, Refusal? RefusalResult)> ReadTokenAsync(
        HttpContext context, Refusal noIdentity, IServiceProvider services)
    {
        await using var scope = services.CreateAsyncScope();
        context.RequestServices = scope.ServiceProvider;
        try
        {
            return await ReadTokenAsync(context, noIdentity);
        }
        finally
        {
            context.RequestServices = services;
        }
    }

    /// <summary>What a request says, perhaps no user id.</summary>
    private sealed record Identity(string Id, DateTimeOffset? ExpiresAt);
}
