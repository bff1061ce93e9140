using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using SimpleChat.Tests.Batteries;

namespace SimpleChat.Tests;

/// <summary>Which node calls webhooks.</summary>
[Trait("Category", Battery.Category)]
public sealed class WebhookTurnTests
{
    /// <summary>Whose session of PostgreSQL holds the lock.</summary>
    private const string Owner =
        """
        SELECT coalesce(max(application_name), '') FROM pg_locks JOIN pg_stat_activity USING (pid)
        WHERE locktype = 'advisory' AND objid = 5082 AND granted AND datname = current_database()
        """;

    [Fact]
    public async Task One_node_calls_webhooks_and_the_other_does_when_that_one_dies_or_is_cut_off()
    {
        var calls = new ConcurrentQueue<Frame>();
        await using var receiver = await ReceiveAsync(calls);
        await using var cluster = await Cluster.StartAsync(
            settings: ["--Webhooks:AllowedHosts:0=127.0.0.1", "--Webhooks:AllowedNetworks:0=127.0.0.0/8"]);
        await RegisterAsync(cluster.HttpUser(0, "bot"), receiver);
        for (var i = 0; i < 40; i++)
            Assert.Equal(201, (await cluster.HttpUser(i % Cluster.Nodes, "alice").SendAsync("bot", $"{i}")).Status);
        await Deadline.UntilAsync(() => Task.FromResult(calls.Count >= 40), "the calls");
        Assert.Equal(Enumerable.Range(0, 40).Select(i => $"{i}"), calls.Select(call => call.Body)); // nobody else has made them too

        var owner = await OwnerAsync(cluster);
        cluster.Server.Kill(owner);
        await AssertIsCalledAsync("the owner died", TimeSpan.FromSeconds(3));
        await cluster.Server.StartNodeAsync(owner);

        Assert.Equal(1 - owner, owner = await OwnerAsync(cluster));
        cluster.ToPostgres(owner).Stall();
        await AssertIsCalledAsync("the owner is cut off", TimeSpan.FromSeconds(10));
        Assert.Equal(1 - owner, await OwnerAsync(cluster));

        async Task AssertIsCalledAsync(string text, TimeSpan limit)
        {
            var clock = Stopwatch.StartNew();
            Assert.Equal(201, (await cluster.HttpUser(1 - owner, "alice").SendAsync("bot", text)).Status);
            await Deadline.UntilAsync(() => Task.FromResult(calls.Any(call => call.Body == text)), text);
            Assert.True(clock.Elapsed < limit, $"{text}: the call came after {clock.Elapsed}.");
        }
    }

    private static async Task<int> OwnerAsync(Cluster cluster)
    {
        var name = "";
        await Deadline.UntilAsync(async () => (name = await cluster.ReadAsync<string>(Owner)).Length > 0, "an owner");
        return int.Parse(name[^1..], CultureInfo.InvariantCulture);
    }

    private static async Task<WebApplication> ReceiveAsync(ConcurrentQueue<Frame> calls)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        var receiver = builder.Build();
        receiver.Urls.Add("http://127.0.0.1:0");
        receiver.Run(async context =>
        {
            using var body = new StreamReader(context.Request.Body);
            calls.Enqueue(Frame.Parse(await body.ReadToEndAsync()));
        });
        await receiver.StartAsync();
        return receiver;
    }

    private static async Task RegisterAsync(HttpUser bot, WebApplication receiver)
    {
        var url = receiver.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single();
        var webhook = JsonSerializer.Serialize(new { url, secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" });
        var answer = await bot.RequestAsync(
            HttpMethod.Put, "/webhook", new StringContent(webhook, Encoding.UTF8, "application/json"));
        Assert.Equal(201, answer.Status);
    }
}
