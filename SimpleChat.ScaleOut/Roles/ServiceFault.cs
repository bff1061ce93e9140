using System.Data.Common;

namespace SimpleChat.ScaleOut.Roles;

/// <summary>A fault of a service, or of the way to it, in words for an operator.</summary>
/// <param name="message">What is wrong, with the service's address.</param>
/// <param name="wasAsked">Whether the service may have done what it was asked. If not, another may be asked.</param>
/// <param name="cause">The exception; null if the service answered.</param>
internal sealed class ServiceFault(string message, bool wasAsked, Exception? cause = null) : DbException(message, cause)
{
    public bool WasAsked => wasAsked;
}
