using System.Diagnostics;
using System.Globalization;
using SimpleChat.Tests.Batteries;
using Xunit.Abstractions;

namespace SimpleChat.Tests;

/// <summary>A service fails under load, with PostgreSQL alive: what becomes of messages, and how long their senders wait.</summary>
[Trait("Category", Battery.Category)]
public sealed class RolesFaultTests(ITestOutputHelper output)
{
    private const int Writers = 10;

    private static readonly TimeSpan Answer = TimeSpan.FromSeconds(5);

    [Fact]
    public async Task I1_I6_I9_The_only_service_is_killed_senders_are_refused_in_time_and_it_recovers_by_itself()
    {
        await using var cluster = await Cluster.StartAsync(services: 1);
        var refused = await UnderLoadAsync(cluster, async () =>
        {
            cluster.Services.Kill(0);
            await Task.Delay(TimeSpan.FromSeconds(2));
            await cluster.Services.StartNodeAsync(0);
        });
        Assert.True(refused > 0, "Nobody was refused: there was no load.");
    }

    [Fact]
    public async Task I1_I6_I9_One_of_two_services_is_killed_and_the_other_stores_from_then_on()
    {
        await using var cluster = await Cluster.StartAsync(services: 2);
        await UnderLoadAsync(cluster, () =>
        {
            cluster.Services.Kill(0);
            return Task.CompletedTask;
        });
    }

    [Fact]
    public async Task I1_I6_I9_Of_a_service_that_stands_still_and_wakes_up_nothing_is_stored_that_was_given_up()
    {
        await using var cluster = await Cluster.StartAsync(services: 2);
        await UnderLoadAsync(cluster, async () =>
        {
            await cluster.Services.SignalAsync(0, "STOP");
            await Task.Delay(TimeSpan.FromSeconds(12));
            await cluster.Services.SignalAsync(0, "CONT");
        });
    }

    [Fact]
    public async Task A_service_that_is_stopped_in_an_orderly_way_beside_another_costs_nobody_a_refusal()
    {
        await using var cluster = await Cluster.StartAsync(services: 2);
        Assert.Equal(0, await UnderLoadAsync(cluster, async () =>
        {
            await cluster.Services.SignalAsync(0, "TERM");
            await cluster.Services.DeathOf(0);
        }));
    }

    /// <summary>
    /// Ten users write to bob while the fault happens, each without a pause: half of the messages with a clientMessageId, and those again
    /// until they are confirmed. Nothing that was confirmed is lost, nothing is stored twice, and everybody's messages are in order.
    /// </summary>
    /// <returns>How many sends were refused.</returns>
    private async Task<int> UnderLoadAsync(Cluster cluster, Func<Task> fault)
    {
        var writers = new List<ChatClient>();
        for (var i = 0; i < Writers; i++)
            writers.Add(await cluster.ConnectAsync(i % Cluster.Nodes, $"writer{i}"));
        await using var bob = await cluster.ConnectAsync(0, "bob", "chat.ack"); // acknowledges nothing: writers hear answers alone
        var confirmed = new Dictionary<long, string>();
        var (refused, slowest) = (0, TimeSpan.Zero);
        var isOver = new TaskCompletionSource();
        var load = Task.WhenAll(writers.Select((writer, i) => Task.Run(async () =>
        {
            var number = 0;
            for (var after = 0; after < 20;)
            {
                var clock = Stopwatch.StartNew();
                var text = $"{i} {number}";
                await writer.SendAsync("bob", text, IsNamed(number) ? text : null);
                var answer = await writer.ReceiveAsync();
                while (answer.Type == "message") // one that was refused, and is stored all the same, comes as if from elsewhere
                    answer = await writer.ReceiveAsync();
                lock (confirmed)
                {
                    slowest = slowest > clock.Elapsed ? slowest : clock.Elapsed;
                    if (answer.Type == "sent")
                        confirmed.Add(answer.Id, text);
                    else
                        refused++;
                }

                if (answer.Type == "sent")
                {
                    after += isOver.Task.IsCompleted ? 1 : 0;
                    number++;
                    continue;
                }

                Assert.Equal("storage_unavailable", answer.Code);
                number += IsNamed(number) ? 0 : 1;
                await Task.Delay(100); // of a client
            }
        })));
        await Deadline.UntilAsync(() => Task.FromResult(confirmed.Count > 100), "load");
        await fault();
        isOver.SetResult();
        await load.OrFail("recovery");

        output.WriteLine($"{confirmed.Count} confirmed, {refused} refused; an answer took {slowest} at most");
        Assert.InRange(slowest, TimeSpan.Zero, Answer);
        var stored = await cluster.ReadAsync<long>("SELECT count(*) FROM MessageDB");
        var came = await bob.MessagesAsync((int)stored);
        Assert.Equal(Enumerable.Range(1, (int)stored), came.Select(message => (int)message.Id));
        Assert.All(confirmed, one => Assert.Equal(one.Value, came[(int)one.Key - 1].Body));
        foreach (var texts in came.Select(message => message.Body.Split(' ')).GroupBy(text => text[0], text => text[1]))
        {
            var numbers = texts.Select(text => int.Parse(text, CultureInfo.InvariantCulture)).ToList();
            Assert.Equal(numbers.Distinct().Order(), numbers); // each once, in the order in which they were sent
        }

        foreach (var writer in writers)
            await writer.DisposeAsync();
        return refused;
    }

    private static bool IsNamed(int number) => number % 2 == 0;
}
