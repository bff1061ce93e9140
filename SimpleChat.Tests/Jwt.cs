using System.Security.Cryptography;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace SimpleChat.Tests;

/// <summary>
/// Issues bearer tokens, and says what the server must be told to take them: the keys that <c>dotnet user-jwts</c> writes too.
/// </summary>
internal sealed class Jwt
{
    public const string Issuer = "tests";
    public const string Audience = "simplechat";

    private const string Bearer = "Authentication:Schemes:Bearer:";
    private readonly byte[] _key = RandomNumberGenerator.GetBytes(32);

    /// <summary>The issuer's name in its tokens.</summary>
    public string From { get; init; } = Issuer;

    /// <summary>Whom its tokens are for.</summary>
    public string For { get; init; } = Audience;

    public IEnumerable<(string Key, string Value)> Settings =>
    [
        (Bearer + "ValidIssuer", From),
        (Bearer + "ValidAudiences:0", For),
        .. SigningKey,
    ];

    /// <summary>Of <see cref="Settings"/>, what is secret.</summary>
    public IEnumerable<(string Key, string Value)> SigningKey =>
    [
        (Bearer + "SigningKeys:0:Issuer", From),
        (Bearer + "SigningKeys:0:Value", Convert.ToBase64String(_key)),
    ];

    /// <summary>A token for <paramref name="user"/>, valid from an hour ago.</summary>
    /// <param name="user">The <c>sub</c> claim; null for none.</param>
    /// <param name="lifetime">From now on; an hour if left out.</param>
    /// <param name="expiry">The <c>exp</c> claim itself, instead of a lifetime.</param>
    public string Token(string? user, TimeSpan? lifetime = null, long? expiry = null)
    {
        var now = TimeProvider.System.GetUtcNow().UtcDateTime;
        var claims = new Dictionary<string, object> { ["jti"] = Guid.NewGuid().ToString() };
        if (user is not null)
            claims[JwtRegisteredClaimNames.Sub] = user;
        if (expiry is not null)
            claims[JwtRegisteredClaimNames.Exp] = expiry;
        return new JsonWebTokenHandler { SetDefaultTimesOnTokenCreation = false }.CreateToken(new SecurityTokenDescriptor
        {
            Issuer = From,
            Audience = For,
            IssuedAt = now.AddHours(-1),
            NotBefore = now.AddHours(-1),
            Expires = expiry is null ? now + (lifetime ?? TimeSpan.FromHours(1)) : null,
            Claims = claims,
            SigningCredentials = new SigningCredentials(new SymmetricSecurityKey(_key), SecurityAlgorithms.HmacSha256),
        });
    }
}
