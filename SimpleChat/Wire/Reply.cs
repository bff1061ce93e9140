namespace SimpleChat.Wire;

/// <summary>Tells a caller once, on any thread, what became of what it asked for. Neither method may wait.</summary>
internal interface IReply
{
    /// <summary>It is on disk.</summary>
    /// <param name="message">The stored message, if a message was sent; null for anything else.</param>
    void Done(Message? message);

    /// <summary>It was not done, or it is not known whether it was.</summary>
    void Refused(Refusal refusal);
}

/// <summary>A reply that can be awaited.</summary>
internal sealed class Reply : IReply
{
    private readonly TaskCompletionSource<Refusal?> _outcome = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Completes with null when it is done, or with the refusal.</summary>
    public Task<Refusal?> Outcome => _outcome.Task;

    /// <summary>The stored message; null before <see cref="Outcome"/>.</summary>
    public Message? Message { get; private set; }

    public void Done(Message? message)
    {
        Message = message;
        _outcome.SetResult(null);
    }

    public void Refused(Refusal refusal) => _outcome.SetResult(refusal);
}
