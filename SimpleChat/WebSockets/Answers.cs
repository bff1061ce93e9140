using SimpleChat.Queues;
using SimpleChat.Wire;

namespace SimpleChat.WebSockets;

/// <summary>
/// The answers to one client's frames. They become ready in any order, and are written in the order of the frames. So they wait in a
/// queue, and are taken from its head while the head is ready.
/// </summary>
/// <param name="connection">Woken when there is an answer to write.</param>
internal sealed class Answers(Connection connection)
{
    /// <summary>The most frames of this client without a written answer. Then no more frames are read.</summary>
    public const int Capacity = 256;

    private readonly Lock _gate = new();

    // Guarded by _gate.
    private Answer? _first, _last;
    private int _unwritten;
    private Signal? _room; // there once the reader had to wait
    private bool _isOver;

    /// <summary>A frame was read and will be answered. Null once the connection is ending: then the frame counts as not read.</summary>
    public Answer? Begin(string? clientMessageId)
    {
        var answer = new Answer(this, clientMessageId);
        lock (_gate)
        {
            if (_last is null)
                _first = answer;
            else
                _last.Next = answer;
            _last = answer;
            _unwritten++;
        }

        if (connection.Ending is null) // asked after it was added: the sender waits for every answer that is there
            return answer;
        answer.Done(null);
        return null;
    }

    /// <summary>Takes the answers whose turn it is.</summary>
    /// <param name="count">How many of them are to be written. Those without a frame are not.</param>
    /// <returns>The first of them, linked by <see cref="Answer.Next"/>.</returns>
    public Answer? Take(out int count)
    {
        count = 0;
        lock (_gate)
        {
            var (first, unneeded) = (_first, 0);
            Answer? last = null;
            for (; _first is { IsReady: true } ready; _first = ready.Next)
            {
                last = ready;
                if (ready.Frame is null)
                    unneeded++;
                else
                    count++;
            }

            if (last is null)
                return null;
            last.Next = null;
            if (_first is null)
                _last = null;
            Free(unneeded);
            return first;
        }
    }

    /// <summary>This many of the taken answers were written.</summary>
    public void Written(int count)
    {
        lock (_gate)
            Free(count);
    }

    /// <summary>
    /// Waits until fewer than <see cref="Capacity"/> are unwritten. So a client that does not take its answers is not read further. One
    /// waiter at a time.
    /// </summary>
    public async Task WaitForRoomAsync()
    {
        while (true)
        {
            lock (_gate)
            {
                if (_unwritten < Capacity || _isOver)
                    return;
                _room ??= new Signal();
            }

            await _room.WaitAsync();
        }
    }

    /// <summary>Whether every frame that was read is answered, and the answer written.</summary>
    public bool AreWritten { get { lock (_gate) return _unwritten == 0; } }

    /// <summary>No more answers are written, so nobody waits for room any more.</summary>
    public void End()
    {
        lock (_gate)
        {
            _isOver = true;
            _room?.Set();
        }
    }

    /// <summary>An answer is ready.</summary>
    private void Ready(Answer answer, FrameAnswer? frame)
    {
        bool isNext;
        lock (_gate)
        {
            (answer.Frame, answer.IsReady) = (frame, true);
            isNext = answer == _first;
        }

        if (isNext)
            connection.Signal.Set();
    }

    /// <summary>Wakes the reader if there is room now. The caller holds the gate.</summary>
    private void Free(int count)
    {
        _unwritten -= count;
        if (_unwritten < Capacity)
            _room?.Set();
    }

    /// <summary>The answer to one frame, before and after it is ready.</summary>
    internal sealed class Answer(Answers answers, string? clientMessageId) : IReply
    {
        public Answer? Next { get; set; }

        /// <summary>Whether it is known what it says.</summary>
        public bool IsReady { get; set; }

        /// <summary>What it says; null if the frame needs no answer.</summary>
        public FrameAnswer? Frame { get; set; }

        /// <summary><c>sent</c> for a message; nothing for anything else.</summary>
        public void Done(Message? message) => answers.Ready(this, message is null ? null : FrameAnswer.Sent(message, clientMessageId));

        public void Refused(Refusal refusal) => answers.Ready(this, FrameAnswer.Refused(refusal, clientMessageId));

        public void Pong() => answers.Ready(this, FrameAnswer.Pong);
    }
}
