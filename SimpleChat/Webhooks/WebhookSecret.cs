using System.Security.Cryptography;
using System.Text;

namespace SimpleChat.Webhooks;

/// <summary>
/// The secret that the server shares with a receiver: <c>whsec_</c> and base64. It signs calls, as Standard Webhooks says
/// (https://www.standardwebhooks.com). It is never shown again. It is stored unencrypted, because signing needs it.
/// </summary>
internal static class WebhookSecret
{
    /// <summary>The fewest and the most bytes in a secret, as the specification says.</summary>
    public const int MinBytes = 24, MaxBytes = 64;

    private const string Prefix = "whsec_";

    /// <summary>Reads the signing key out of a secret; null if the secret is malformed.</summary>
    public static byte[]? Key(string? secret)
    {
        if (secret?.StartsWith(Prefix, StringComparison.Ordinal) != true)
            return null;
        Span<byte> key = stackalloc byte[MaxBytes];
        return Convert.TryFromBase64String(secret[Prefix.Length..], key, out var length) && length >= MinBytes
            ? key[..length].ToArray()
            : null;
    }

    /// <summary>Returns the value of <c>webhook-signature</c>: version 1, an HMAC-SHA256 over id, time and body.</summary>
    /// <param name="id"><c>webhook-id</c>.</param>
    /// <param name="timestamp"><c>webhook-timestamp</c>: this attempt's time, in seconds since 1970-01-01 UTC.</param>
    public static string Sign(string secret, string id, string timestamp, ReadOnlySpan<byte> body)
    {
        byte[] signed = [.. Encoding.UTF8.GetBytes($"{id}.{timestamp}."), .. body];
        return "v1," + Convert.ToBase64String(HMACSHA256.HashData(Key(secret)!, signed));
    }
}
