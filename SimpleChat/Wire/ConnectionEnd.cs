using System.Net.WebSockets;

namespace SimpleChat.Wire;

/// <summary>
/// Why a connection ended, and what the peer is told. That is a close code (RFC 6455, section 7.4.1), or nothing if no frame can reach it
/// any more. The list is complete. An ending that is not in it is a fault of the server's.
/// </summary>
/// <param name="Name">The ending's name in logs and metrics.</param>
/// <param name="Status">The close code sent; null if the connection is cut without one.</param>
/// <param name="Reason">The close frame's reason: for the developer at the other end. At most 123 bytes (RFC 6455, section 5.5).</param>
/// <param name="IsRefusal">Whether the peer did what the server does not take.</param>
internal sealed record ConnectionEnd(string Name, WebSocketCloseStatus? Status, string? Reason = null, bool IsRefusal = false)
{
    public static readonly ConnectionEnd ShuttingDown =
        new("server_stopping", WebSocketCloseStatus.EndpointUnavailable, "The server is shutting down; reconnect in a moment.");
    public static readonly ConnectionEnd Binary =
        new("binary_message", WebSocketCloseStatus.InvalidMessageType, "Send text messages, each one JSON object.", IsRefusal: true);
    public static readonly ConnectionEnd IdentityExpired =
        new("identity_expired", WebSocketCloseStatus.PolicyViolation, "Your token has expired; reconnect with a new one.");
    public static readonly ConnectionEnd MessageTooSlow =
        new("message_too_slow", WebSocketCloseStatus.PolicyViolation, "A message took too long to arrive whole.", IsRefusal: true);
    public static readonly ConnectionEnd MessageTooBig =
        new("message_too_big", WebSocketCloseStatus.MessageTooBig, "The message is over the size limit.", IsRefusal: true);
    public static readonly ConnectionEnd ServerFault =
        new("server_fault", WebSocketCloseStatus.InternalServerError, "Something failed in the server; reconnect.");

    /// <summary>The framework found frames that break RFC 6455 (and answered 1002) or text that is not UTF-8 (1007).</summary>
    public static readonly ConnectionEnd ProtocolError = new("protocol_error", null, IsRefusal: true);

    /// <summary>The peer vanished: no close frame, or no answer to a ping.</summary>
    public static readonly ConnectionEnd PeerGone = new("peer_gone", null);

    /// <summary>The peer took nothing for <c>Chat:SendTimeout</c>.</summary>
    public static readonly ConnectionEnd PeerStalled = new("peer_stalled", null, IsRefusal: true);

    /// <summary>The peer closed: its own code is sent back, as RFC 6455, section 5.5.1 has it.</summary>
    public static ConnectionEnd ClosedByPeer(WebSocketCloseStatus? status) => new("closed_by_peer", status ?? WebSocketCloseStatus.Empty);
}
