using System.Collections.Concurrent;
using System.Diagnostics;

namespace SimpleChat.Tests;

/// <summary>A message's trace goes on at the node to which it goes.</summary>
public sealed class TracesTests
{
    [Fact]
    public async Task One_trace_shows_a_messages_way_over_both_nodes()
    {
        const long First = 7_000_000_001; // an id that no other server's message has: a listener hears of all servers in this process
        await using var server = await new ChatServer().StartAsync();
        await server.ExecuteAsync($"UPDATE MessageDB_Erased SET Id = {First - 1}");
        var spans = new ConcurrentQueue<Activity>();
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == Traces.SourceName,
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = spans.Enqueue,
        };
        ActivitySource.AddActivityListener(listener);
        await server.RestartAsync();

        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        await using var bob = await ChatClient.ConnectAsync(server.Url, "bob", "chat.ack");
        string[] way = ["received", "waited for the pen", "stored", "looked up and pushed", "announced", "heard and pushed", "delivered"];
        Activity? message = null;
        await Deadline.UntilAsync(async () =>
        {
            var id = (await alice.SendAndConfirmAsync("bob", "hi")).Id;
            await bob.FindAsync("message");
            await bob.RawTextAsync($$"""{"type":"ack","ids":[{{id}}]}""");
            await alice.FindAsync("delivered");
            message = spans.SingleOrDefault(span => Equals(span.GetTagItem("simplechat.message.id"), id));
            return message is not null && way.All(step => Steps().Any(span => span.OperationName == step));
        }, "all steps of a message whose announcement came before a look");
        Assert.Equal(way.Order(), Steps().Select(span => span.OperationName).Order());
        Assert.All(Steps(), span => Assert.Equal(message!.SpanId, span.ParentSpanId));
        Assert.True(Steps().Single(span => span.OperationName == "heard and pushed").HasRemoteParent);

        IEnumerable<Activity> Steps() => spans.Where(span => span.TraceId == message!.TraceId && span != message);
    }
}
