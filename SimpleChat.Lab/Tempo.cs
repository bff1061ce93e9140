namespace SimpleChat.Lab;

/// <summary>How fast things go: at once, in slow motion, or one step at a time. It is the same for all cables and the server.</summary>
internal sealed class Tempo(TimeProvider time)
{
    private readonly Lock _lock = new();
    private readonly Queue<TaskCompletionSource> _waiting = [];

    /// <summary>How long everything waits in slow motion; zero if there is none.</summary>
    public TimeSpan Slow { get; set; }

    /// <summary>Whether nothing goes on by itself.</summary>
    public bool IsPaused { get; private set; }

    /// <summary>Whether nothing waits.</summary>
    public bool IsLive => !IsPaused && Slow == TimeSpan.Zero;

    /// <summary>From now on nothing goes on by itself.</summary>
    public void Pause()
    {
        lock (_lock)
            IsPaused = true;
    }

    /// <summary>Lets go on what has waited longest.</summary>
    /// <returns>Whether something waited.</returns>
    public bool Step()
    {
        lock (_lock)
        {
            while (_waiting.TryDequeue(out var next))
            {
                if (next.TrySetResult())
                    return true;
            }

            return false;
        }
    }

    /// <summary>Everything goes on again.</summary>
    public void Resume()
    {
        lock (_lock)
            IsPaused = false;
        while (Step())
        {
        }
    }

    /// <summary>Waits as slow motion says, then for its step if there is a pause.</summary>
    /// <exception cref="OperationCanceledException"><paramref name="end"/> came first.</exception>
    public async Task PassAsync(CancellationToken end)
    {
        if (Slow > TimeSpan.Zero)
            await Task.Delay(Slow, time, end);
        TaskCompletionSource turn;
        lock (_lock)
        {
            if (!IsPaused)
                return;
            turn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _waiting.Enqueue(turn);
        }

        using var cancelled = end.Register(() => turn.TrySetCanceled(end));
        await turn.Task;
    }
}
