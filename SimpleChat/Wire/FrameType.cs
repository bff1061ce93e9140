namespace SimpleChat.Wire;

/// <summary>What a client's frame asks the server to do.</summary>
internal enum FrameType
{
    Send,
    Ack,
    Ping,
}
