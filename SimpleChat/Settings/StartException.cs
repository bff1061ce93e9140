using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;

namespace SimpleChat.Settings;

/// <summary>
/// Why the server cannot start, in one line for whoever started it: what is wrong, where, and what to do. The process ends with exit code
/// 1.
/// </summary>
internal sealed class StartException(string message, Exception? cause = null) : Exception(message.ReplaceLineEndings(" "), cause)
{
    /// <summary>The line for whatever stopped the start, or a server that was running.</summary>
    public static string Explain(Exception e, bool isStarted) => (e switch
    {
        StartException => e.Message,
        IOException { InnerException: AddressInUseException } =>
            $"{e.Message} Stop the other server, or choose another address with --urls.",
        SocketException => $"SimpleChat cannot listen where it was told to: {e.Message}. Choose another address with --urls.",
        InvalidDataException { InnerException: { } inner } => $"{e.Message} {inner.Message}", // a settings file: its path, then where in it
        _ => $"SimpleChat cannot {(isStarted ? "go on" : "start")}: {e.Message} ({e.GetType().Name})",
    }).ReplaceLineEndings(" ");
}
