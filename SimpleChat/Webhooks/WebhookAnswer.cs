using System.Globalization;
using System.Net;
using System.Net.Http.Headers;

namespace SimpleChat.Webhooks;

/// <summary>The result of a call.</summary>
/// <param name="Failure">What went wrong, in words for the user. They say nothing about the server's network. Null if the answer was
/// 2xx.</param>
/// <param name="Detail">What went wrong, for the operator's log; null if there is no more to say.</param>
/// <param name="Status">The answer's status; null if no answer came.</param>
/// <param name="RetryAfter">How long the receiver wants no call: at most <see cref="LongestRetryAfter"/>; zero if it did not say.</param>
internal readonly record struct WebhookAnswer(
    string? Failure, string? Detail = null, HttpStatusCode? Status = null, TimeSpan RetryAfter = default)
{
    /// <summary>The longest pause that a receiver may ask for.</summary>
    public static readonly TimeSpan LongestRetryAfter = TimeSpan.FromDays(1);

    /// <summary>Whether the receiver wants no more calls (410).</summary>
    public bool IsGone => Status == HttpStatusCode.Gone;

    /// <summary>
    /// Whether the receiver refuses this message. That is any 4xx except those that mean "not now" (408, 425, 429) or "never again" (410).
    /// </summary>
    public bool IsRefusal => (int?)Status is >= 400 and < 500 and not (408 or 410 or 425 or 429);

    public static WebhookAnswer Of(HttpResponseMessage response, DateTimeOffset now) => response.IsSuccessStatusCode
        ? default
        : new WebhookAnswer($"It answered {(int)response.StatusCode}.", null, response.StatusCode, ReadRetryAfter(response, now));

    /// <summary>Reads seconds or a date (RFC 9110, section 10.2.3). Returns zero for a date in the past, and for anything else.</summary>
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
