using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using Microsoft.Playwright;
using SimpleChat.Tests.ThePage;

namespace SimpleChat.Tests;

/// <summary>A test that needs Chromium: where there is none it is skipped, and says so; where CI=true it fails instead.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class BrowserFactAttribute : Xunit.FactAttribute
{
    public BrowserFactAttribute()
    {
        if (Environment.GetEnvironmentVariable("CI") != "true")
            Skip = Browser.Missing;
    }
}

/// <summary>The same, for several cases.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class BrowserTheoryAttribute : Xunit.TheoryAttribute
{
    public BrowserTheoryAttribute()
    {
        if (Environment.GetEnvironmentVariable("CI") != "true")
            Skip = Browser.Missing;
    }
}

/// <summary>
/// Debian's Chromium without a window (<c>apt-get install chromium-headless-shell</c>), which takes half the time of the whole browser; or
/// the whole browser, or the one at CHROMIUM_PATH. Driven by Playwright, one for all tests of a class.
/// And axe-core, out of <c>npm ci</c> in this folder.
/// </summary>
public sealed class Browser : IAsyncLifetime
{
    private const string Shell = "/usr/bin/chromium-headless-shell";

    private static readonly string Chromium =
        Environment.GetEnvironmentVariable("CHROMIUM_PATH") ?? (File.Exists(Shell) ? Shell : "/usr/bin/chromium");

    private readonly ConcurrentQueue<string> _errors = new();

    private IPlaywright? _playwright;
    private IBrowser? _browser;

    /// <summary>axe-core's source.</summary>
    public static string AxePath { get; } = Path.Combine(Here(), "node_modules", "axe-core", "axe.min.js");

    /// <summary>What is not installed, and how to; null if all is there.</summary>
    public static string? Missing =>
        !File.Exists(Chromium) ? $"There is no browser at {Chromium}: apt-get install chromium-headless-shell, or set CHROMIUM_PATH."
        : !File.Exists(AxePath) ? "axe-core is missing: npm ci in SimpleChat.Tests."
        : null;

    public async Task InitializeAsync()
    {
        if (Missing is not null)
            return;
        Assertions.SetDefaultExpectTimeout((float)Deadline.Time.TotalMilliseconds);
        _playwright = await Playwright.CreateAsync().OrFail("Playwright starts");
        _browser = await _playwright.Chromium.LaunchAsync(
            new BrowserTypeLaunchOptions { ExecutablePath = Chromium, Args = ["--no-sandbox"] });
    }

    /// <summary>A page of somebody with a browser of their own: own storage, own cookies.</summary>
    internal async Task<IPage> OpenAsync(
        Uri server, string? user = null, string? with = null, ColorScheme scheme = ColorScheme.Light, int width = 1280)
    {
        var context = await NewContextAsync(scheme, width, 800);
        var page = await context.NewPageAsync();
        await page.GotoAsync(Address(server, user, with));
        return page;
    }

    /// <summary>The same, to measure in; who opens it closes it.</summary>
    internal Task<QuietTab> OpenQuietlyAsync(Uri server, string user, string with) =>
        QuietTab.OpenAsync(_browser ?? throw new InvalidOperationException(Missing), Address(server, user, with));

    /// <summary>A browser with nothing in it: its pages share storage and cookies, and nobody else's.</summary>
    internal async Task<IBrowserContext> NewContextAsync(ColorScheme scheme, int width, int height)
    {
        var browser = _browser ?? throw new InvalidOperationException(Missing);
        var context = await browser.NewContextAsync(new BrowserNewContextOptions
        {
            ColorScheme = scheme,
            ViewportSize = new ViewportSize { Width = width, Height = height },
            IgnoreHTTPSErrors = true, // a proxy in a test signs its certificate itself
        });
        context.SetDefaultTimeout((float)Deadline.Time.TotalMilliseconds);
        context.WebError += (_, error) => _errors.Enqueue(error.Error);
        context.RequestFailed += (_, request) =>
        {
            if (IsOfThePage(request) && request.Failure != "net::ERR_ABORTED") // a page that is left aborts what it still loads
                _errors.Enqueue($"{request.Url} did not load: {request.Failure}");
        };
        context.Response += (_, response) =>
        {
            if (IsOfThePage(response.Request) && response.Status >= 400)
                _errors.Enqueue($"{response.Url} did not load: {response.Status}");
        };
        return context;
    }

    /// <summary>
    /// Closes what a test has opened: a page whose server is gone would go on trying. Fails if a script or a style sheet of theirs did not
    /// load, or if a script threw something that nobody caught.
    /// </summary>
    internal async Task CloseAsync()
    {
        foreach (var context in _browser?.Contexts.ToArray() ?? [])
            await context.CloseAsync().OrFail("a browser's window closes");
        string[] errors = [.. _errors];
        _errors.Clear();
        Assert.True(errors.Length == 0, string.Join('\n', errors));
    }

    private static bool IsOfThePage(IRequest request) => request.ResourceType is "script" or "stylesheet";

    internal static string Address(Uri server, string? user, string? with = null) =>
        new Uri(server, user is null ? "" : $"?user={user}" + (with is null ? "" : $"&with={with}")).AbsoluteUri;

    public async Task DisposeAsync()
    {
        try
        {
            if (_browser is not null)
                await _browser.CloseAsync().OrFail("the browser ends");
        }
        finally
        {
            if (_playwright is not null)
                await Task.Run(_playwright.Dispose).OrFail("Playwright ends");
        }
    }

    private static string Here([CallerFilePath] string here = "") => Path.GetDirectoryName(here)!;
}
