using SimpleChat.Wire;

namespace SimpleChat.WebSockets;

/// <summary>
/// What was written to a WebSocket on which writing counts as delivering (subprotocol <c>chat</c>). It hands in one delivery at a time. A
/// fast reader's deliveries gather meanwhile, and take one place in the writer's queue. On a connection ids only rise, and none is left
/// out; so one range of ids is enough.
/// </summary>
/// <param name="connection">The connection, just joined: what is at or below its position is not written to it.</param>
internal sealed class WrittenMessages(Chat chat, Connection connection, TimeProvider time) : IReply
{
    /// <summary>How long to wait after a refusal.</summary>
    private static readonly TimeSpan RetryPause = TimeSpan.FromMilliseconds(500);

    private readonly Lock _gate = new();

    // Guarded by _gate.
    private long _delivered = connection.Position, _handedIn, _written;
    private int _count;
    private bool _isUnderWay;

    /// <summary>Everything up to <paramref name="id"/> was written. That is <paramref name="count"/> messages more than before.</summary>
    public void UpTo(long id, int count)
    {
        lock (_gate)
        {
            (_written, _count) = (id, _count + count);
            if (_isUnderWay)
                return;
            _isUnderWay = true;
        }

        HandIn();
    }

    /// <summary>What was handed in is out of the inbox, durably.</summary>
    public void Done(Message? message)
    {
        lock (_gate)
        {
            _delivered = Math.Max(_delivered, _handedIn);
            _isUnderWay = _written > _delivered;
            if (!_isUnderWay)
                return;
        }

        HandIn();
    }

    /// <summary>Tries again while the connection is open. Afterwards the messages stay in the inbox, and come once more.</summary>
    public void Refused(Refusal refusal) => _ = RetryAsync();

    private async Task RetryAsync()
    {
        await Task.Delay(RetryPause, time);
        if (connection.Ending is null)
            HandIn();
    }

    private void HandIn()
    {
        Delivery delivery;
        lock (_gate)
        {
            _handedIn = _written;
            delivery = new Delivery(chat, connection.Share, [new IdRange(_delivered + 1, _written)], _count, this);
            _count = 0;
        }

        _ = chat.Writer.EnqueueAsync(delivery).AsTask();
    }
}
