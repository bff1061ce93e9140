using Microsoft.AspNetCore.Authentication.JwtBearer;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Protocols;
using Microsoft.IdentityModel.Protocols.OpenIdConnect;
using Microsoft.IdentityModel.Tokens;

namespace SimpleChat.Identity;

/// <summary>
/// The authority that issues the tokens, and its keys (OpenID Connect Discovery 1.0, section 4). Nobody is refused for a key that is not
/// known before the keys were fetched again. Known keys go on working while the provider is away.
/// </summary>
internal sealed partial class IdentityProvider(JwtBearerOptions bearer, TimeProvider time, ILogger<IdentityProvider> log)
    : IConfigurationManager<OpenIdConnectConfiguration>
{
    /// <summary>From one fetch to the next, however many unknown keys strangers name. Who comes in between waits.</summary>
    private static readonly TimeSpan Rest = TimeSpan.FromSeconds(1);

    /// <summary>
    /// For a fetch, and for whoever waits for one: an answer comes within 5 s. The library's fetch looks at no cancellation, so its client
    /// has this limit too.
    /// </summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(4);

    private readonly HttpDocumentRetriever _documents = new(bearer.Backchannel) { RequireHttps = bearer.RequireHttpsMetadata };
    private readonly Lock _gate = new();
    private Fetch? _last; // guarded by _gate
    private volatile OpenIdConnectConfiguration _known = new(); // at first no issuer and no key
    private bool _isAway; // the last fetch's alone

    /// <summary>The keys that are known; <see cref="CanJudgeAsync"/> comes first, and sees to it that they will do.</summary>
    public Task<OpenIdConnectConfiguration> GetConfigurationAsync(CancellationToken cancel) => Task.FromResult(_known);

    /// <summary>Does nothing: the framework calls it when a token's key is not among the keys, and they have just been fetched.</summary>
    public void RequestRefresh()
    {
    }

    /// <summary>Whether a token can be judged with the keys that are known. If its key is not among them they are fetched first.</summary>
    /// <returns>False if the provider is away, or too slow.</returns>
    public async Task<bool> CanJudgeAsync(JsonWebToken token)
    {
        var came = time.GetTimestamp();
        RefreshInTime();
        if (await IsKeyKnownAsync(token))
            return true;
        try
        {
            return await FetchForAsync(token, came).WaitAsync(Patience, time);
        }
        catch (TimeoutException)
        {
            return false;
        }
    }

    /// <summary>Fetches until the token's key is known, or was looked for after the token came.</summary>
    private async Task<bool> FetchForAsync(JsonWebToken token, long came)
    {
        Fetch fetch;
        do
        {
            fetch = FetchSince(came);
            if (!await fetch.Succeeded)
                return false;
        }
        while (fetch.Start < came && !await IsKeyKnownAsync(token));
        return true;
    }

    /// <summary>Whether a known key is said to have signed the token, or has: the provider's or one of the settings' own.</summary>
    private async Task<bool> IsKeyKnownAsync(JsonWebToken token)
    {
        var known = _known;
        if (token.Kid is { Length: > 0 } kid && known.SigningKeys.Any(key => key.KeyId == kid))
            return true;
        var signature = await new JsonWebTokenHandler().ValidateTokenAsync(token, new TokenValidationParameters
        {
            IssuerSigningKeys = [.. bearer.TokenValidationParameters.IssuerSigningKeys ?? [], .. known.SigningKeys],
            ValidateIssuer = false, // all this is looked at afterwards
            ValidateAudience = false,
            ValidateLifetime = false,
        });
        return signature.IsValid;
    }

    /// <summary>As often as the framework would, and nobody waits for it: the keys that are known go on.</summary>
    private void RefreshInTime()
    {
        if (_last is { } last && time.GetElapsedTime(last.Start) > bearer.AutomaticRefreshInterval)
            _ = FetchSince(time.GetTimestamp());
    }

    /// <summary>A fetch that has begun since then, or is under way, or else the next one.</summary>
    private Fetch FetchSince(long came)
    {
        lock (_gate)
        {
            if (_last is not null && (_last.Start >= came || !_last.Succeeded.IsCompleted))
                return _last;
            var rest = _last is null ? TimeSpan.Zero : Rest - time.GetElapsedTime(_last.Start);
            if (rest < TimeSpan.Zero)
                rest = TimeSpan.Zero;
            return _last = new Fetch(time.GetTimestamp() + (long)(rest.TotalSeconds * time.TimestampFrequency), FetchAsync(rest));
        }
    }

    /// <returns>Whether there are keys now.</returns>
    private async Task<bool> FetchAsync(TimeSpan rest)
    {
        await Task.Delay(rest, time).ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        var address = bearer.MetadataAddress!;
        try
        {
            var fetched = await OpenIdConnectConfigurationRetriever.GetAsync(address, _documents, CancellationToken.None)
                .WaitAsync(Patience, time);
            if (string.IsNullOrEmpty(fetched.Issuer) || fetched.SigningKeys.Count == 0)
                throw new InvalidDataException("The document has no issuer or no keys.");
            _known = fetched;
            if (_isAway)
                Log.IsBack(log, address);
            _isAway = false;
            return true;
        }
        catch (Exception e) // it is away or answers nonsense; the library has no list of what it throws then
        {
            var reason = e is TimeoutException
                ? $"No answer within {Patience.TotalSeconds} s."
                : e.GetBaseException().Message.ReplaceLineEndings(" ");
            if (!_isAway)
                Log.IsAway(log, address, reason);
            _isAway = true;
            return false;
        }
    }

    /// <summary>One request for the keys; whoever needs them waits for the same one.</summary>
    /// <param name="Start">When it begins, at the earliest: a timestamp.</param>
    /// <param name="Succeeded">Whether there are keys then.</param>
    private sealed record Fetch(long Start, Task<bool> Succeeded);

    private static partial class Log
    {
        [LoggerMessage(50, LogLevel.Warning,
            "The identity provider does not give its keys at {Address}: {Reason} Until it does, unknown keys are answered 503.")]
        public static partial void IsAway(ILogger log, string address, string reason);

        [LoggerMessage(51, LogLevel.Information, "The identity provider gives its keys again at {Address}.")]
        public static partial void IsBack(ILogger log, string address);
    }
}
