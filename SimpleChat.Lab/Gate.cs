namespace SimpleChat.Lab;

/// <summary>Open or shut. Whoever comes while it is shut waits until it is open.</summary>
internal sealed class Gate
{
    private volatile TaskCompletionSource _opened = new();

    public Gate() => _opened.SetResult();

    /// <summary>Whether it is open.</summary>
    public bool IsOpen => _opened.Task.IsCompleted;

    /// <summary>Opens it, and lets everybody through.</summary>
    public void Open() => _opened.TrySetResult();

    /// <summary>Shuts it.</summary>
    public void Shut()
    {
        if (IsOpen)
            _opened = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    /// <summary>Completes when it is open.</summary>
    /// <exception cref="OperationCanceledException"><paramref name="end"/> came first.</exception>
    public Task PassAsync(CancellationToken end) => _opened.Task.WaitAsync(end);
}
