using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace SimpleChat.Webhooks;

/// <summary>
/// A bot's registration: its messages are POSTed to it, signed as Standard Webhooks says (https://www.standardwebhooks.com).
/// </summary>
/// <param name="User">Whose messages.</param>
/// <param name="Url">Where they go; see <see cref="WebhookOptions.AllowedHosts"/>.</param>
/// <param name="Secret">Shared with the receiver, never shown again: <c>whsec_</c> and base64. Kept as it is, because signing needs
/// it.</param>
internal sealed record Webhook(string User, string Url, string Secret)
{
    /// <summary>Bytes in a secret, as the specification has it.</summary>
    public const int MinSecretBytes = 24, MaxSecretBytes = 64;

    /// <summary>The longest URL, in characters.</summary>
    public const int MaxUrlLength = 2048;

    private const string SecretPrefix = "whsec_";

    /// <summary>The signing key, or null if the secret isn't one.</summary>
    public static byte[]? Key(string? secret)
    {
        if (secret?.StartsWith(SecretPrefix, StringComparison.Ordinal) != true)
            return null;
        Span<byte> key = stackalloc byte[MaxSecretBytes];
        return Convert.TryFromBase64String(secret[SecretPrefix.Length..], key, out var length) && length >= MinSecretBytes
            ? key[..length].ToArray()
            : null;
    }

    /// <summary>The same id for every attempt, so that the receiver can tell a repeat.</summary>
    public static string Id(Message message) => string.Create(CultureInfo.InvariantCulture, $"msg_{message.Id}");

    /// <summary>The value of <c>webhook-signature</c>: version 1, HMAC-SHA256 over id, time and body.</summary>
    /// <param name="id"><c>webhook-id</c>.</param>
    /// <param name="timestamp"><c>webhook-timestamp</c>: this attempt's time, seconds since 1970-01-01 UTC.</param>
    /// <param name="body">The body as it goes over the wire.</param>
    public string Sign(string id, string timestamp, ReadOnlySpan<byte> body)
    {
        using var hmac = IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, Key(Secret)!);
        hmac.AppendData(Encoding.UTF8.GetBytes($"{id}.{timestamp}."));
        hmac.AppendData(body);
        return "v1," + Convert.ToBase64String(hmac.GetCurrentHash());
    }

    /// <summary>Without the secret, wherever it is printed.</summary>
    public override string ToString() => $"{User} at {Url}";
}
