using SimpleChat.Monitoring;
using SimpleChat.Settings;

namespace SimpleChat.WebSockets;

/// <summary>What every WebSocket of the server needs.</summary>
/// <param name="Chat">The chat.</param>
/// <param name="Options">The limits.</param>
/// <param name="Time">The clock.</param>
/// <param name="Metrics">Counts what is pushed.</param>
/// <param name="Refusals">Hears of frames that are answered with an error.</param>
/// <param name="Log">Hears of endings, and of faults.</param>
internal sealed record WebSocketServices(
    Chat Chat, ChatOptions Options, TimeProvider Time, Metrics Metrics, RefusalLog Refusals, ILogger<WebSocketLine> Log);
