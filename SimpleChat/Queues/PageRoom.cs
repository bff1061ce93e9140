using SimpleChat.Limits;
using SimpleChat.Settings;

namespace SimpleChat.Queues;

/// <summary>
/// Limits how many pages are in memory. A page is much text that a connection holds until it is written. A peer that takes nothing keeps
/// its page, and many of those must not fill the memory. So connections wait for each other. One user's connections get a part of the room,
/// so that they wait for themselves first.
/// </summary>
internal sealed class PageRoom(int pages) : IDisposable
{
    /// <summary>The part of the memory that pages may take, and the part of these that one user's connections may take.</summary>
    private const int PartOfMemory = 8, PartOfRoom = 4;

    /// <summary>
    /// How many copies of a page's largest frame are in memory while its peer takes nothing: where it was written, in the WebSocket's
    /// buffer, and in two batches on their way. Each is as large as a text in which every character takes six bytes of JSON.
    /// </summary>
    private const int Frames = 4, LargestEscape = 6;

    private readonly SemaphoreSlim _free = new(pages);
    private readonly int _perUser = Math.Max(1, pages / PartOfRoom);

    /// <summary>As much room as the process's memory allows.</summary>
    /// <param name="pageText">Bytes of text after which a page ends, with the message that fills it.</param>
    public static PageRoom For(int pageText, ChatOptions options) => new((int)Math.Clamp(
        GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / PartOfMemory
            / (pageText + (1 + Frames * LargestEscape) * options.MaxMessageBytes), 4, 1_000_000));

    public void Dispose() => _free.Dispose();

    /// <summary>One reader's place in the queue. Its reader alone uses it.</summary>
    internal sealed class Place(PageRoom room, UserShare share, Signal signal) : IDisposable
    {
        private Task<bool>? _grant; // true when there is room, false after the wait was given up; null if there is neither
        private CancellationTokenSource? _noLonger; // ends the wait
        private bool _isTaken; // the reader knows of the grant, and uses it

        public Signal Signal => signal;

        /// <summary>Takes room for one page, if the place has none yet. If there is none, the signal is set when there is.</summary>
        public bool TryTake()
        {
            if (_grant is null)
            {
                _noLonger = new CancellationTokenSource();
                _grant = WaitAsync(_noLonger.Token);
                if (!_grant.IsCompleted)
                    signal.SetAfter(_grant);
            }

            return _isTaken = _grant.IsCompleted;
        }

        /// <summary>Gives back the room for one page, if it was taken.</summary>
        public void Return()
        {
            if (_isTaken)
                GiveBack();
        }

        /// <summary>Called when the reader has taken no room this time. If it was granted room, the next one gets that.</summary>
        public void PassOn()
        {
            if (!_isTaken && _grant?.IsCompleted == true)
                GiveBack();
        }

        public void Dispose()
        {
            GiveBack();
            _noLonger?.Dispose();
        }

        /// <summary>Gives back the room, or leaves the queue.</summary>
        private void GiveBack()
        {
            if (_grant is null)
                return;
            _noLonger!.Cancel();
            _ = GiveBackAsync(_grant);
            (_grant, _isTaken) = (null, false);
        }

        /// <summary>
        /// Waits for the user's other connections first, and then for everybody's. It throws nothing, because many may leave at once.
        /// </summary>
        /// <returns>False if it was no longer waited for.</returns>
        private async Task<bool> WaitAsync(CancellationToken noLonger)
        {
            if (!await EndOf(Own.WaitAsync(noLonger)))
                return false;
            if (await EndOf(room._free.WaitAsync(noLonger)))
                return true;
            Own.Release();
            return false;

            static async Task<bool> EndOf(Task wait)
            {
                await wait.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                return wait.IsCompletedSuccessfully;
            }
        }

        private async Task GiveBackAsync(Task<bool> grant)
        {
            if (!await grant)
                return;
            room._free.Release();
            Own.Release();
        }

        private SemaphoreSlim Own => share.PartOfPageRoom(room._perUser);
    }
}
