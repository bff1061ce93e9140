namespace SimpleChat;

/// <summary>Why the server cannot start, in one line for whoever started it: what is wrong, where, and what to do. The process ends with exit code 1.</summary>
/// <param name="message">The line.</param>
/// <param name="cause">What was caught, if anything.</param>
internal sealed class StartException(string message, Exception? cause = null) : Exception(message.ReplaceLineEndings(" "), cause);
