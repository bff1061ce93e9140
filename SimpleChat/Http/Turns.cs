namespace SimpleChat.Http;

/// <summary>
/// Requests of strangers take turns: only a few are served at once. A turn ends when the request is answered, or when its user is known. So
/// a mass of strangers' requests waits here, and does not delay the work of users. An answer to a slow reader keeps its turn; the others
/// wait for it no longer than <see cref="Patience"/>.
/// </summary>
internal sealed class Turns : IDisposable
{
    /// <summary>How many requests are served at once: enough for every core, and little work to wait for.</summary>
    private const int AtOnce = 4;

    /// <summary>After this long a request goes on without a turn.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(100);

    private readonly SemaphoreSlim _free = new(AtOnce);

    /// <summary>Middleware: lets a request through when it has a turn.</summary>
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

    /// <summary>Called when the request's user is known. From then on that user's share is charged, and the turn is free.</summary>
    public static void End(HttpContext context) => context.Features.Get<Turn>()?.End();

    public void Dispose() => _free.Dispose();

    private sealed class Turn(SemaphoreSlim free)
    {
        private bool _isOver;

        /// <summary>Called by the request alone; may be called twice.</summary>
        public void End()
        {
            if (!_isOver)
                free.Release();
            _isOver = true;
        }
    }
}
