namespace SimpleChat.Http;

/// <summary>
/// Requests of strangers take turns: a few at once, until they are answered or it is known whose they are. What strangers ask for in
/// masses waits here, and not in front of everybody else's work. An answer to a slow reader keeps its turn, and others wait for that no
/// longer than a moment.
/// </summary>
internal sealed class Turns : IDisposable
{
    /// <summary>Requests at once: enough for every core, and little work to wait behind.</summary>
    private const int AtOnce = 4;

    /// <summary>After this long a request goes on without a turn.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(100);

    private readonly SemaphoreSlim _free = new(AtOnce);

    /// <summary>Middleware: a request goes on when it has a turn.</summary>
    public async Task Take(HttpContext context, RequestDelegate next)
    {
        var turn = await _free.WaitAsync(Patience) ? new Turn(_free) : null;
        context.Features.Set(turn);
        try
        {
            if (!context.RequestAborted.IsCancellationRequested)
                await next(context);
        }
        finally
        {
            turn?.End();
        }
    }

    /// <summary>It is known whose request this is: it is that user's to pay for, and somebody else's turn.</summary>
    public static void End(HttpContext context) => context.Features.Get<Turn>()?.End();

    public void Dispose() => _free.Dispose();

    private sealed class Turn(SemaphoreSlim free)
    {
        private bool _isOver;

        /// <summary>May be called twice; by the request alone.</summary>
        public void End()
        {
            if (!_isOver)
                free.Release();
            _isOver = true;
        }
    }
}
