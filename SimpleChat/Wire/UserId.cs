using System.Buffers;

namespace SimpleChat.Wire;

/// <summary>
/// What may name a user. Wide enough for an e-mail address and a JWT <c>sub</c>, narrow enough for a log line and a URL. Case counts.
/// </summary>
internal static class UserId
{
    /// <summary>The longest user id, in characters.</summary>
    public const int MaxLength = 128;

    /// <summary>The characters it is made of, in words.</summary>
    public const string Characters = "A-Z a-z 0-9 . _ @ | : + -";

    /// <summary>The same as a regular expression, for the descriptions of the wire.</summary>
    public const string Pattern = "^[A-Za-z0-9._@|:+-]{1,128}$";

    private static readonly SearchValues<char> Allowed =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._@|:+-");

    public static bool IsValid([System.Diagnostics.CodeAnalysis.NotNullWhen(true)] string? value) =>
        value is { Length: > 0 and <= MaxLength } && !value.AsSpan().ContainsAnyExcept(Allowed);
}
