using System.Globalization;
using System.Net;
using System.Net.Http.Headers;

namespace SimpleChat.Webhooks;

/// <summary>How a call went.</summary>
/// <param name="Failure">What went wrong, in words for the user, which tell nothing of what else is in the network; null if it was answered
/// 2xx.</param>
/// <param name="Detail">What went wrong, for the operator's log, if there is more to say.</param>
/// <param name="Status">The status that came, if one did.</param>
/// <param name="RetryAfter">The receiver wants to be left alone for so long: at most <see cref="LongestRetryAfter"/>, zero if it did not
/// say.</param>
internal readonly record struct WebhookAnswer(
    string? Failure, string? Detail = null, HttpStatusCode? Status = null, TimeSpan RetryAfter = default)
{
    /// <summary>What a receiver asks for beyond this is not heard.</summary>
    public static readonly TimeSpan LongestRetryAfter = TimeSpan.FromDays(1);

    /// <summary>The receiver wants no more calls.</summary>
    public bool IsGone => Status == HttpStatusCode.Gone;

    /// <summary>
    /// The receiver will not take this message: a 4xx, but for those that mean "not now" (408, 425, 429) or "never again" (410).
    /// </summary>
    public bool IsRefusal => (int?)Status is >= 400 and < 500 and not (408 or 410 or 425 or 429);

    /// <summary>Reads the answer's head.</summary>
    public static WebhookAnswer Of(HttpResponseMessage response, DateTimeOffset now) => response.IsSuccessStatusCode
        ? default
        : new WebhookAnswer($"It answered {(int)response.StatusCode}.", null, response.StatusCode, ReadRetryAfter(response, now));

    /// <summary>Seconds or a date (RFC 9110, section 10.2.3); of anything else, and of a date that is past, zero.</summary>
    private static TimeSpan ReadRetryAfter(HttpResponseMessage response, DateTimeOffset now)
    {
        if (!response.Headers.NonValidated.TryGetValues("Retry-After", out var values))
            return TimeSpan.Zero;
        var value = values.First();
        var seconds = double.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var delay) ? delay // digits, however many
            : RetryConditionHeaderValue.TryParse(value, out var date) ? (date.Date - now)?.TotalSeconds ?? 0
            : 0;
        return TimeSpan.FromSeconds(Math.Clamp(seconds, 0, LongestRetryAfter.TotalSeconds));
    }
}
