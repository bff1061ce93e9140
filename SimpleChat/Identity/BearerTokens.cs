using System.Buffers.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.JwtBearer;
using Microsoft.Extensions.Options;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;
using SimpleChat.Settings;

namespace SimpleChat.Identity;

/// <summary>
/// Checks JWTs (RFC 7519) that come as bearer tokens (RFC 6750). The settings are in section <c>Authentication:Schemes:Bearer</c>, where
/// <c>dotnet user-jwts</c> writes too. If nobody could sign in with them, the server does not start.
/// </summary>
internal static class BearerTokens
{
    private const string Section = "Authentication:Schemes:" + JwtBearerDefaults.AuthenticationScheme;

    /// <summary>The shortest key of an HMAC. With a shorter one, the library refuses every token.</summary>
    private const int MinKeyBytes = 16;

    /// <summary>The keys that the framework reads from the section. Any other key would have no effect.</summary>
    private static readonly string[] Keys =
    [
        "Authority", "MetadataAddress", "RequireHttpsMetadata", "BackchannelTimeout", "RefreshInterval", "RefreshOnIssuerKeyNotFound",
        "SigningKeys", "ValidIssuer", "ValidIssuers", "ValidateIssuer", "ValidAudience", "ValidAudiences", "ValidateAudience",
        "Challenge", "IncludeErrorDetails", "MapInboundClaims", "SaveToken",
        "ForwardAuthenticate", "ForwardChallenge", "ForwardDefault", "ForwardForbid", "ForwardSignIn", "ForwardSignOut",
    ];

    /// <summary>Says that a token cannot be checked, because its key is not available.</summary>
    public sealed class ProviderAwayException : Exception;

    public static void Register(IServiceCollection services)
    {
        // Not AddAuthentication: its part for cookies would write a key into the home folder.
        services.AddAuthenticationCore(schemes => schemes.DefaultScheme = JwtBearerDefaults.AuthenticationScheme);
        services.AddWebEncoders();
        services.AddSingleton<IAuthenticationConfigurationProvider, Configuration>();
        new AuthenticationBuilder(services).AddJwtBearer();

        services.AddOptions<JwtBearerOptions>(JwtBearerDefaults.AuthenticationScheme)
            .Configure<TimeProvider>((bearer, time) =>
            {
                bearer.MapInboundClaims = false;
                bearer.TimeProvider = time;
                bearer.Events = new JwtBearerEvents { OnMessageReceived = LookAtTokenAsync };
                // A token ends exactly at its time, so that an open connection and a new handshake agree. Its beginning is lenient, because
                // another machine's clock sets it.
                bearer.TokenValidationParameters.LifetimeValidator = (from, to, _, parameters) =>
                    to > time.GetUtcNow().UtcDateTime && !(from > time.GetUtcNow().UtcDateTime + parameters.ClockSkew);
            })
            .PostConfigure<TimeProvider, ILogger<IdentityProvider>>((bearer, time, log) =>
            {
                if (bearer.ConfigurationManager is null)
                    return;
                bearer.Backchannel.Timeout = IdentityProvider.Patience;
                bearer.ConfigurationManager = new IdentityProvider(bearer, time, log);
            });
    }

    /// <summary>Checks the settings at the start, and not when the first token comes.</summary>
    /// <exception cref="StartException">They cannot be read, or nobody could sign in with them.</exception>
    public static void CheckSettings(IServiceProvider services)
    {
        var section = services.GetRequiredService<IConfiguration>().GetSection(Section);
        var environment = services.GetRequiredService<IHostEnvironment>();
        if (section.GetChildren().FirstOrDefault(setting => !Keys.Contains(setting.Key, StringComparer.OrdinalIgnoreCase)) is { } unknown)
            throw new StartException($"There is no setting {unknown.Path}. Of {Section} there are {string.Join(", ", Keys)}.");
        foreach (var key in section.GetSection("SigningKeys").GetChildren())
        {
            var bytes = new byte[key["Value"]?.Length ?? 0];
            if (!Convert.TryFromBase64String(key["Value"] ?? "", bytes, out var length) || length < MinKeyBytes)
                throw new StartException($"{key.Path}:Value is no signing key; expected at least {MinKeyBytes} bytes in base64.");
        }

        JwtBearerOptions bearer;
        try
        {
            bearer = services.GetRequiredService<IOptionsMonitor<JwtBearerOptions>>().Get(JwtBearerDefaults.AuthenticationScheme);
        }
        catch (Exception e) when (e is InvalidOperationException or FormatException or ArgumentException or OverflowException)
        {
            throw new StartException($"{Section} makes no sense: {e.Message}", e);
        }

        if (bearer.ConfigurationManager is not null
            && !(Uri.TryCreate(bearer.MetadataAddress, UriKind.Absolute, out var address) && address.Scheme is "https" or "http"))
            throw new StartException(
                $"{Section}:Authority leads to '{bearer.MetadataAddress}'; expected an address like https://login.example.org.");

        if (!environment.IsDevelopment() && WhyNobodyCanSignIn(bearer, section) is { } why)
            throw new StartException(
                $"Nobody could sign in: in the environment {environment.EnvironmentName} users come with a JWT, and {why} " +
                "Or set ASPNETCORE_ENVIRONMENT=Development to try the chat with ?user=alice.");
    }

    private static string? WhyNobodyCanSignIn(JwtBearerOptions bearer, IConfigurationSection section)
    {
        var parameters = bearer.TokenValidationParameters;
        if (bearer.ConfigurationManager is null)
        {
            if (!section.GetSection("SigningKeys").GetChildren().Any())
                return "nothing says whose to trust. " +
                    $"Set {Section}:Authority and :ValidAudiences, or :SigningKeys, :ValidIssuer and :ValidAudiences.";
            if (parameters.ValidateIssuer && !Any(parameters.ValidIssuer, parameters.ValidIssuers))
                return $"nothing says who issues it. Set {Section}:ValidIssuer.";
            if (parameters.IssuerSigningKeys?.Any() != true)
                return $"no signing key is its issuer's. Each of {Section}:SigningKeys needs an Issuer that is a ValidIssuer.";
        }

        return parameters.ValidateAudience && !Any(parameters.ValidAudience, parameters.ValidAudiences)
            ? $"nothing says for whom it is issued. Set {Section}:ValidAudiences:0 to the name that the issuer puts into \"aud\"."
            : null;

        static bool Any(string? one, IEnumerable<string>? several) =>
            (several ?? []).Append(one).Any(value => !string.IsNullOrWhiteSpace(value));
    }

    /// <summary>Finds the token, and checks what can be checked before the signature.</summary>
    private static async Task LookAtTokenAsync(MessageReceivedContext context)
    {
        var request = context.Request;
        var header = request.Headers.Authorization.ToString();
        if (header.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase))
            context.Token = header["Bearer ".Length..].Trim();
        else if (request.Headers.ContainsKey("Authorization"))
            return;
        else if (context.HttpContext.GetEndpoint()?.Metadata.GetMetadata<TokenInQuery>() is not null)
            context.Token = request.Query["access_token"];

        JsonWebToken token;
        try
        {
            token = new JsonWebToken(context.Token);
        }
        catch (ArgumentException) // no token, or an unreadable one: the framework refuses it
        {
            return;
        }

        if (token.TryGetHeaderValue<object>("crit", out _)) // extensions that must be understood, and none is (RFC 7515, section 4.1.11)
            context.Fail(new SecurityTokenException("The token has critical extensions."));
        else if (!HasSubject(token))
            context.Fail(new SecurityTokenException("The token's subject is no string."));
        else if (context.Options.ConfigurationManager is IdentityProvider provider && !await provider.CanJudgeAsync(token))
            context.Fail(new ProviderAwayException());
    }

    /// <summary>
    /// Whether <c>sub</c> is a string (RFC 7519, section 4.1.2). The library would read a number as a string, and 1.0 as 1.
    /// </summary>
    private static bool HasSubject(JsonWebToken token)
    {
        try
        {
            using var payload = JsonDocument.Parse(Base64Url.DecodeFromChars(token.EncodedPayload));
            return payload.RootElement.TryGetProperty("sub", out var subject) && subject.ValueKind == JsonValueKind.String;
        }
        catch (Exception e) when (e is FormatException or JsonException or InvalidOperationException)
        {
            return false; // it is encrypted, empty, or no JSON object alone
        }
    }

    /// <summary>Tells the framework which section has the scheme's settings.</summary>
    private sealed class Configuration(IConfiguration configuration) : IAuthenticationConfigurationProvider
    {
        public IConfiguration AuthenticationConfiguration => configuration.GetSection("Authentication");
    }
}

/// <summary>
/// Marks an endpoint that a browser opens without being able to set a header. It accepts the token as <c>?access_token=</c> (RFC 6750,
/// section 2.3).
/// </summary>
internal sealed record TokenInQuery;
