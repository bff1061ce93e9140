namespace SimpleChat.AppHost;

/// <summary>It cannot start. The message says in one line why, and what to do.</summary>
internal sealed class StartException(string message) : Exception(message);
