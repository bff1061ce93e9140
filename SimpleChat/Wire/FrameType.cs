namespace SimpleChat.Wire;

/// <summary>What a client's frame asks for.</summary>
internal enum FrameType
{
    Send,
    Ack,
    Ping,
}
