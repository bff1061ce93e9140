using System.Net.Sockets;

namespace SimpleChat.Tests;

/// <summary>A cable to an engine or a node. It may stall: what is on its way waits, and neither end is told.</summary>
internal class Cable(Uri server) : Relay(server, "/")
{
    private readonly Valve _requests = new(), _answers = new();

    /// <summary>A cable to a port of this machine.</summary>
    public Cable(int port)
        : this(new Uri($"http://127.0.0.1:{port}"))
    {
    }

    /// <summary>Nothing gets through, either way.</summary>
    public void Stall()
    {
        _requests.Close();
        _answers.Close();
    }

    /// <summary>No answer gets through. Requests do.</summary>
    public void StallAnswers() => _answers.Close();

    /// <summary>Everything gets through again, and what has waited first.</summary>
    public void Mend()
    {
        _requests.Open();
        _answers.Open();
    }

    protected override async Task CarryAsync(
        NetworkStream outside, Func<CancellationToken, Task<NetworkStream>> connect, CancellationToken over)
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(over);
        await _requests.WaitAsync(end.Token);
        await using var inside = await connect(end.Token);
        await Task.WhenAny(
            CopyAsync(outside, (bytes, stop) => PassAsync(bytes, inside, _requests, stop), end.Token),
            CopyAsync(inside, PassAnswers(outside), end.Token));
        await end.CancelAsync();
    }

    /// <summary>What passes on the answers of one connection.</summary>
    protected virtual Pass PassAnswers(Stream to) => (bytes, stop) => PassAsync(bytes, to, _answers, stop);

    private static async Task CopyAsync(Stream from, Pass pass, CancellationToken stop)
    {
        var buffer = new byte[64 * 1024];
        while (await from.ReadAsync(buffer, stop) is > 0 and var count)
            await pass(buffer.AsMemory(0, count), stop);
    }

    private static async Task PassAsync(ReadOnlyMemory<byte> bytes, Stream to, Valve valve, CancellationToken stop)
    {
        await valve.WaitAsync(stop);
        await to.WriteAsync(bytes, stop);
    }

    /// <summary>Passes bytes on.</summary>
    protected delegate Task Pass(ReadOnlyMemory<byte> bytes, CancellationToken stop);

    private sealed class Valve
    {
        private volatile TaskCompletionSource _open = NewOpen();

        public void Close()
        {
            if (_open.Task.IsCompleted)
                _open = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        public void Open() => _open.TrySetResult();

        public Task WaitAsync(CancellationToken stop) => _open.Task.WaitAsync(stop);

        private static TaskCompletionSource NewOpen()
        {
            var open = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            open.SetResult();
            return open;
        }
    }
}
