using Microsoft.AspNetCore.Authentication.JwtBearer;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Protocols;
using Microsoft.IdentityModel.Protocols.OpenIdConnect;
using Microsoft.IdentityModel.Tokens;

namespace SimpleChat.Identity;

/// <summary>
/// Fetches the keys of the authority that issues the tokens (OpenID Connect Discovery 1.0, section 4). If a token's key is unknown, the
/// keys are fetched again before the token is refused. Known keys go on working while the provider is away.
/// </summary>
internal sealed partial class IdentityProvider(JwtBearerOptions bearer, TimeProvider time, ILogger<IdentityProvider> log)
    : IConfigurationManager<OpenIdConnectConfiguration>
{
    /// <summary>The least time between two fetches, however many unknown keys strangers name. Callers wait for the next fetch.</summary>
    private static readonly TimeSpan Rest = TimeSpan.FromSeconds(1);

    /// <summary>
    /// How long a fetch may take, and how long a caller waits for one. The contract wants an answer within 5 s. The library's fetch ignores
    /// cancellation, so its HTTP client has this limit too.
    /// </summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(4);

    private readonly HttpDocumentRetriever _documents = new(bearer.Backchannel) { RequireHttps = bearer.RequireHttpsMetadata };
    private readonly Lock _gate = new();
    private Fetch? _last; // guarded by _gate
    private volatile OpenIdConnectConfiguration _known = new(); // at first without issuer and keys
    private bool _isAway; // used by the last fetch alone

    /// <summary>Returns the known keys. <see cref="CanJudgeAsync"/> has fetched the token's key before, if it could.</summary>
    public Task<OpenIdConnectConfiguration> GetConfigurationAsync(CancellationToken cancel) => Task.FromResult(_known);

    /// <summary>Does nothing. The framework calls it when a token's key is unknown, and the keys have just been fetched.</summary>
    public void RequestRefresh()
    {
    }

    /// <summary>Whether the known keys are enough to check a token. If its key is unknown, the keys are fetched first.</summary>
    /// <returns>False if the provider does not answer, or too late.</returns>
    public async Task<bool> CanJudgeAsync(JsonWebToken token)
    {
        var came = time.GetTimestamp();
        RefreshInTime();
        try
        {
            return await FetchForAsync(token, came).WaitAsync(Patience, time);
        }
        catch (TimeoutException)
        {
            return false;
        }
    }

    /// <summary>Fetches until the token's key is known, or until a fetch has begun after the token came.</summary>
    private async Task<bool> FetchForAsync(JsonWebToken token, long came)
    {
        while (_known is var known && !await IsKeyKnownAsync(token, known))
        {
            if (FetchSince(came, known) is not { } fetch)
                continue; // other keys came while these were looked at
            if (!await fetch.Succeeded)
                return false;
            if (fetch.Start >= came)
                break;
        }

        return true;
    }

    /// <summary>
    /// Whether the token names a known key, or a known key has signed it. Known are the provider's keys and those of the settings.
    /// </summary>
    private async Task<bool> IsKeyKnownAsync(JsonWebToken token, OpenIdConnectConfiguration known)
    {
        if (token.Kid is { Length: > 0 } kid && known.SigningKeys.Any(key => key.KeyId == kid))
            return true;
        var signature = await new JsonWebTokenHandler().ValidateTokenAsync(token, new TokenValidationParameters
        {
            IssuerSigningKeys = [.. bearer.TokenValidationParameters.IssuerSigningKeys ?? [], .. known.SigningKeys],
            ValidateIssuer = false, // these are checked afterwards
            ValidateAudience = false,
            ValidateLifetime = false,
        });
        return signature.IsValid;
    }

    /// <summary>Fetches the keys as often as the framework would. Nobody waits for it, and the known keys stay valid meanwhile.</summary>
    private void RefreshInTime()
    {
        if (_last is { } last && time.GetElapsedTime(last.Start) > bearer.AutomaticRefreshInterval)
            _ = FetchSince(time.GetTimestamp(), _known);
    }

    /// <summary>
    /// Returns a fetch that has begun since then, or one that is under way. Otherwise starts the next one, unless one has ended meanwhile:
    /// then <paramref name="known"/> are not the known keys any more, and it returns null.
    /// </summary>
    private Fetch? FetchSince(long came, OpenIdConnectConfiguration known)
    {
        lock (_gate)
        {
            if (_last is not null && (_last.Start >= came || !_last.Succeeded.IsCompleted))
                return _last;
            if (_known != known)
                return null;
            var rest = _last is null ? TimeSpan.Zero : Rest - time.GetElapsedTime(_last.Start);
            if (rest < TimeSpan.Zero)
                rest = TimeSpan.Zero;
            return _last = new Fetch(time.GetTimestamp() + (long)(rest.TotalSeconds * time.TimestampFrequency), FetchAsync(rest));
        }
    }

    /// <summary>Waits, and then fetches the keys.</summary>
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
        catch (Exception e) // the provider is away or answers nonsense; the library does not say what it throws then
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

    /// <summary>One fetch of the keys. Everybody who needs them waits for the same one.</summary>
    /// <param name="Start">The earliest time at which it begins: a timestamp.</param>
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
