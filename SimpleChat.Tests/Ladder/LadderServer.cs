using System.Diagnostics;

namespace SimpleChat.Tests.Ladder;

/// <summary>A step that runs, until it is disposed of.</summary>
/// <param name="process">Its process.</param>
/// <param name="url">Where it listens.</param>
internal sealed class LadderServer(Process process, Uri url) : IAsyncDisposable
{
    /// <summary>Where it listens.</summary>
    public Uri Url => url;

    public async ValueTask DisposeAsync()
    {
        process.Kill(entireProcessTree: true);
        await process.WaitForExitAsync().OrFail("the end of the step");
        process.Dispose();
    }
}
