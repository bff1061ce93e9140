namespace SimpleChat.Tests.Ladder;

/// <summary>Builds every file once, in the background, and checks every step once, as soon as it is built.</summary>
public sealed class LadderBuilds : IAsyncLifetime, IDisposable
{
    /// <summary>In the order in which they are climbed.</summary>
    public static readonly string[] Steps =
    [
        "01-handshake.cs", "02-map.cs", "03-devices.cs", "04-messagedb.cs", "05-inbox.cs",
        "06-position.cs", "07-ack.cs", "08-once.cs", "09-slow-reader.cs", "10-group-commit.cs",
    ];

    private readonly TempFolder _folder = new();
    private readonly Task<LadderProgram> _check;
    private readonly Task<string>[] _checked;

    public LadderBuilds()
    {
        _check = LadderProgram.BuildAsync("check.cs", _folder);
        _checked = [.. Steps.Select(BuildAndCheckAsync)];
    }

    /// <summary>What the checks say about a step.</summary>
    internal Task<string> CheckAsync(int step) => _checked[step - 1];

    /// <summary>What they say about a server somewhere.</summary>
    internal async Task<string> CheckAsync(Uri url) =>
        (await (await _check).RunAsync($"{url}", $"{Deadline.Time.TotalSeconds:F0}")).TrimEnd();

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync() => await Task.WhenAll([.. _checked, _check]).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

    /// <summary>After <see cref="DisposeAsync"/>.</summary>
    public void Dispose() => _folder.Dispose();

    private async Task<string> BuildAndCheckAsync(string step)
    {
        using var folder = new TempFolder();
        var (server, url) = await (await LadderProgram.BuildAsync(step, _folder)).StartAsync(folder);
        using (server)
        {
            try
            {
                return await CheckAsync(url);
            }
            finally
            {
                server.Kill();
                await server.WaitForExitAsync();
            }
        }
    }
}
