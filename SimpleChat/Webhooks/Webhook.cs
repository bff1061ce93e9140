using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using SimpleChat.Storage;

namespace SimpleChat.Webhooks;

/// <summary>
/// A bot's registration. The server POSTs the bot's messages to it, signed as Standard Webhooks says (https://www.standardwebhooks.com).
/// </summary>
/// <param name="User">The user whose messages are sent.</param>
/// <param name="Url">Where they are sent; see <see cref="WebhookOptions.AllowedHosts"/>.</param>
/// <param name="Secret">The secret that the receiver has too: <c>whsec_</c> and base64. It is never shown again. It is stored unencrypted,
/// because signing needs it.</param>
internal sealed record Webhook(string User, string Url, string Secret)
{
    /// <summary>The fewest and the most bytes in a secret, as the specification says.</summary>
    public const int MinSecretBytes = 24, MaxSecretBytes = 64;

    /// <summary>The longest URL, in characters.</summary>
    public const int MaxUrlLength = 2048;

    private const string SecretPrefix = "whsec_";

    /// <summary>Reads the signing key out of a secret; null if the secret is malformed.</summary>
    public static byte[]? Key(string? secret)
    {
        if (secret?.StartsWith(SecretPrefix, StringComparison.Ordinal) != true)
            return null;
        Span<byte> key = stackalloc byte[MaxSecretBytes];
        return Convert.TryFromBase64String(secret[SecretPrefix.Length..], key, out var length) && length >= MinSecretBytes
            ? key[..length].ToArray()
            : null;
    }

    /// <summary>Returns its row in the database.</summary>
    /// <param name="skippedUpTo">Messages in the inbox up to this id were not taken.</param>
    public WebhookRow Row(long skippedUpTo = 0) => new(User, Url, Secret, skippedUpTo);

    /// <summary>Returns the id of a call. It is the same for every attempt, so that the receiver can recognise a repeat.</summary>
    public static string Id(Message message) => string.Create(CultureInfo.InvariantCulture, $"msg_{message.Id}");

    /// <summary>Returns the value of <c>webhook-signature</c>: version 1, an HMAC-SHA256 over id, time and body.</summary>
    /// <param name="id"><c>webhook-id</c>.</param>
    /// <param name="timestamp"><c>webhook-timestamp</c>: this attempt's time, in seconds since 1970-01-01 UTC.</param>
    /// <param name="body">The body as it is sent.</param>
    public string Sign(string id, string timestamp, ReadOnlySpan<byte> body)
    {
        using var hmac = IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, Key(Secret)!);
        hmac.AppendData(Encoding.UTF8.GetBytes($"{id}.{timestamp}."));
        hmac.AppendData(body);
        return "v1," + Convert.ToBase64String(hmac.GetCurrentHash());
    }

    /// <summary>Leaves out the secret, so that no log prints it.</summary>
    public override string ToString() => $"{User} at {Url}";
}
