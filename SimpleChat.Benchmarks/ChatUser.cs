namespace SimpleChat.Benchmarks;

/// <summary>
/// A user of the benchmark: sends to one other user, either as fast as its window of unanswered messages lets it, or when told; and
/// receives.
/// </summary>
/// <param name="port">The server's.</param>
/// <param name="number">Its own number; its name follows from it.</param>
/// <param name="crowd">The accounts of all, by the number of the sender.</param>
/// <param name="frame">What it sends; null if it only receives.</param>
/// <param name="window">Messages of this user that may be unanswered at once.</param>
internal class ChatUser(int port, int number, Crowd crowd, SendFrame? frame, int window)
    : ClientSocket(port, Name(number), "chat", crowd.Verdict, 32 * 1024)
{
    private readonly Account? _account = frame is null ? null : crowd.Accounts[number];
    private readonly Lock _sending = new();
    private long _quota;
    private long _lastId;
    private long _receivedAt;

    public static string Name(int number) => $"user{number:D5}";

    /// <summary>Sends until <paramref name="quota"/> messages are out, keeping the window full.</summary>
    public void SendUpTo(long quota)
    {
        Volatile.Write(ref _quota, quota);
        FillWindow();
    }

    /// <summary>Sends one message at once, whatever is unanswered.</summary>
    /// <param name="micros">When it was meant to be sent.</param>
    public void Send(long micros)
    {
        lock (_sending)
            Put(frame!, ++_account!.Sent, micros);
        Flush();
    }

    protected override void OnSent(long id)
    {
        if (_account is null || _account.Confirmed == Volatile.Read(ref _account.Sent))
            base.OnSent(id);
        else
            _account.Confirm(id);
    }

    protected override void OnDelivered(long id)
    {
        if (_account is null)
            base.OnDelivered(id);
        else
            _account.Deliver(id);
    }

    protected override void OnMessage(long id, ReadOnlySpan<byte> text)
    {
        if (id <= _lastId)
            throw new NotProvenException($"message {id} came after message {_lastId} on one connection");
        _lastId = id;
        var (sender, count, micros) = SendFrame.Read(text);
        crowd.Accounts[sender].Arrive(id, count, User);
        if (micros != 0)
        {
            if (_receivedAt == 0)
                _receivedAt = SendFrame.Now;
            crowd.Latencies?.Add(micros, _receivedAt);
        }
    }

    protected override void OnBatch()
    {
        _receivedAt = 0;
        FillWindow();
    }

    private void FillWindow()
    {
        if (_account is null)
            return;
        lock (_sending)
        {
            var upTo = Math.Min(Volatile.Read(ref _quota), _account.Confirmed + window);
            while (_account.Sent < upTo)
                Put(frame!, ++_account.Sent, 0);
        }

        Flush();
    }
}
