using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace SimpleChat.Tests.ThePage;

/// <summary>axe-core finds nothing to complain about in the states that <see cref="WebClientTests"/> does not come to.</summary>
[Collection(PageTests.Name)]
public sealed class AxeTests(PageFixture fixture) : IAsyncLifetime
{
    private readonly string _alice = PageFixture.Name("alice"), _bob = PageFixture.Name("bob");

    public Task InitializeAsync() => Task.CompletedTask;

    public Task DisposeAsync() => fixture.CloseAsync();

    [BrowserTheory]
    [InlineData(ColorScheme.Light, 960)]
    [InlineData(ColorScheme.Dark, 390)]
    public async Task Axe_finds_nothing_in_the_rarer_states(ColorScheme scheme, int width)
    {
        await using var network = new Network(fixture.Url);
        var page = await fixture.OpenAsync(await fixture.ContextAsync(scheme, width), _alice, server: network.Url);
        await fixture.SendAsync(_bob, _alice, 60);
        foreach (var text in (string[])["see https://example.com", "`code`\n```\nand more of it\n```", "🎉", "\u200B"])
            await fixture.User(_bob).SendAsync(_alice, text);
        await fixture.User(_bob.ToUpperInvariant()).SendAsync(_alice, "another");
        await Expect(page.Locator("#empty-title")).ToHaveTextAsync("Choose a conversation");
        await Expect(page.Locator(".conversation .count")).ToHaveCountAsync(2);
        await WebClientTests.AssertAccessibleAsync(page, "a choice of conversations");

        await page.Locator($"[data-other={_bob}]").ClickAsync();
        await Expect(page.Locator(".new")).ToBeVisibleAsync();
        await Expect(page.Locator("#newest")).ToBeVisibleAsync();
        await Expect(page.Locator("#twin")).ToBeVisibleAsync();
        await WebClientTests.AssertAccessibleAsync(page, "something new, and a twin");
        await page.Locator("#text").PressAsync("Escape");
        await Expect(page.Locator(".block")).ToBeInViewportAsync();
        await WebClientTests.AssertAccessibleAsync(page, "links and code");

        network.Cut();
        await Expect(page.Locator("#retry")).ToBeVisibleAsync();
        await page.Locator("#text").FillAsync("waits");
        await page.Locator("#text").PressAsync("Enter");
        await Expect(page.Locator(".message.waiting")).ToBeVisibleAsync();
        await WebClientTests.AssertAccessibleAsync(page, "offline");
        await page.Locator("#sign-out").ClickAsync();
        await Expect(page.Locator("#unsent")).ToBeVisibleAsync();
        await WebClientTests.AssertAccessibleAsync(page, "the question before signing out");
        await page.GetByRole(AriaRole.Button, new() { Name = "Stay" }).ClickAsync();
        await page.EvaluateAsync("document.documentElement.classList.add('large')");
        await WebClientTests.AssertAccessibleAsync(page, "large");
        Assert.True(
            await page.EvaluateAsync<bool>("document.documentElement.scrollWidth <= innerWidth"), "nothing is wider than the screen");
    }
}
