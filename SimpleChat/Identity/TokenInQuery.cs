namespace SimpleChat.Identity;

/// <summary>
/// Marks an endpoint that a browser opens without being able to set a header. It accepts the token as <c>?access_token=</c> (RFC 6750,
/// section 2.3).
/// </summary>
internal sealed record TokenInQuery;
