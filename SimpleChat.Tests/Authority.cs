using System.Security.Cryptography;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace SimpleChat.Tests;

/// <summary>
/// An identity provider on loopback: issues tokens and gives its keys (OpenID Connect Discovery), unless in another mood.
/// </summary>
internal sealed class Authority : IAsyncDisposable
{
    private static readonly RSA s_forger = RSA.Create(2048);

    private readonly WebApplication _app;
    private readonly TaskCompletionSource _ended = new();
    private RsaSecurityKey _key = NewKey();
    private int _requests;

    private Authority()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        _app = builder.Build();
        _app.Run(AnswerAsync);
    }

    public enum Mood
    {
        Answers,
        Hangs,
        Fails,
        AnswersNonsense,
        HasNoKeys,
    }

    public Mood Now { get; set; }

    /// <summary>Documents that it was asked for so far.</summary>
    public int Requests => Volatile.Read(ref _requests);

    public IEnumerable<(string Key, string Value)> Settings =>
    [
        ("Authentication:Schemes:Bearer:Authority", Url),
        ("Authentication:Schemes:Bearer:RequireHttpsMetadata", "false"),
        ("Authentication:Schemes:Bearer:ValidAudiences:0", Jwt.Audience),
    ];

    private string Url => _app.Urls.Single();

    public static async Task<Authority> StartAsync()
    {
        var authority = new Authority();
        await authority._app.StartAsync();
        return authority;
    }

    /// <summary>From now on another key, and no longer the one before.</summary>
    public void Rotate() => _key = NewKey();

    /// <summary>A token of the key that counts now.</summary>
    /// <param name="user">The <c>sub</c> claim, of whatever type.</param>
    /// <param name="withoutKeyId">Leaves it open with which key it was signed.</param>
    /// <param name="header">Header parameters besides.</param>
    public string Token(object user, bool withoutKeyId = false, Dictionary<string, object>? header = null) =>
        Token(_key, user, withoutKeyId, header);

    /// <summary>A token of a key that nobody has heard of.</summary>
    public string ForgedToken(string user) => Token(NewKey(s_forger), user, withoutKeyId: false, header: null);

    public async ValueTask DisposeAsync()
    {
        _ended.TrySetResult();
        await _app.DisposeAsync();
    }

    private static RsaSecurityKey NewKey(RSA? pair = null) => new(pair ?? RSA.Create(2048)) { KeyId = Guid.NewGuid().ToString() };

    private string Token(RsaSecurityKey key, object user, bool withoutKeyId, Dictionary<string, object>? header)
    {
        var now = TimeProvider.System.GetUtcNow().UtcDateTime;
        return new JsonWebTokenHandler().CreateToken(new SecurityTokenDescriptor
        {
            Issuer = Url,
            Audience = Jwt.Audience,
            NotBefore = now.AddHours(-1),
            IssuedAt = now.AddHours(-1),
            Expires = now.AddHours(1),
            Claims = new Dictionary<string, object> { [JwtRegisteredClaimNames.Sub] = user },
            AdditionalHeaderClaims = header,
            SigningCredentials = new SigningCredentials(withoutKeyId ? new RsaSecurityKey(key.Rsa) : key, SecurityAlgorithms.RsaSha256),
        });
    }

    private async Task AnswerAsync(HttpContext context)
    {
        Interlocked.Increment(ref _requests);
        var now = Now;
        if (now == Mood.Hangs)
            await _ended.Task.WaitAsync(context.RequestAborted).ContinueWith(_ => { }, TaskScheduler.Default);
        else if (now == Mood.Fails)
            context.Response.StatusCode = StatusCodes.Status500InternalServerError;
        else if (now == Mood.AnswersNonsense)
            await context.Response.WriteAsync("<html>\nPlease sign in.</html>");
        else if (context.Request.Path == "/.well-known/openid-configuration")
            await context.Response.WriteAsJsonAsync(new { issuer = Url, jwks_uri = Url + "/keys" });
        else
            await context.Response.WriteAsJsonAsync(new { keys = now == Mood.HasNoKeys ? [] : new[] { PublicPart() } });
    }

    private object PublicPart()
    {
        var (key, numbers) = (_key, _key.Rsa.ExportParameters(includePrivateParameters: false));
        var (n, e) = (Base64UrlEncoder.Encode(numbers.Modulus), Base64UrlEncoder.Encode(numbers.Exponent));
        return new { kty = "RSA", use = "sig", kid = key.KeyId, n, e };
    }
}
