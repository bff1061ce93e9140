using System.Globalization;

namespace SimpleChat.Tests;

/// <summary>I3 at its hardest: somebody comes and goes, hundreds of times, while somebody else never stops sending.</summary>
public sealed class HandoffTests
{
    private const int Visits = 300;

    [Theory]
    [InlineData("resuming after the last id seen")]
    [InlineData("acknowledging all that was seen")]
    public async Task I3_Coming_and_going_under_a_flood_loses_nothing_doubles_nothing_and_reorders_nothing(string how)
    {
        await using var server = await new ChatServer { ["Chat:MessagesPerSecond"] = "0" }.StartAsync();
        await using var alice = await ChatClient.ConnectAsync(server.Url, "alice");
        using var enough = new CancellationTokenSource();
        var flood = FloodAsync(alice, enough.Token);

        var resumes = how.StartsWith("resuming", StringComparison.Ordinal);
        var random = new Random(17);
        var seen = new List<Frame>();
        for (var visit = 0; visit < Visits; visit++)
        {
            await using var bob =
                await ChatClient.ConnectAsync(server.Url, "bob", "chat.ack", resumes ? seen.Count == 0 ? 0 : seen[^1].Id : null);
            var messages = await bob.MessagesAsync(random.Next(1, 12));
            seen.AddRange(messages);
            if (resumes && random.Next(2) == 0)
                bob.Abort();
            else if (resumes)
                await bob.CloseAsync();
            else
                await AckAllAndCloseAsync(bob, messages, seen);
        }

        await enough.CancelAsync();
        var sent = await flood;
        await using var last = await ChatClient.ConnectAsync(server.Url, "bob", "chat.ack", resumes ? seen[^1].Id : null);
        seen.AddRange(await last.MessagesAsync(sent - seen.Count));

        Assert.Equal(Enumerable.Range(0, sent).Select(number => number.ToString(CultureInfo.InvariantCulture)),
            seen.Select(message => message.Body));
        Assert.Equal(seen.Select(message => message.Id).Order(), seen.Select(message => message.Id));
    }

    /// <summary>
    /// Acknowledges, closes, and counts what still came before the close as seen only if it was acknowledged: the rest comes again.
    /// </summary>
    private static async Task AckAllAndCloseAsync(ChatClient bob, List<Frame> messages, List<Frame> seen)
    {
        await bob.AckAsync([.. messages.Select(message => message.Id)]);
        await bob.CloseAsync();
        Assert.Equal(messages[^1].Id, seen[^1].Id);
    }

    /// <summary>Sends numbers, sixteen unanswered at a time, until told to stop.</summary>
    /// <returns>How many.</returns>
    private static async Task<int> FloodAsync(ChatClient alice, CancellationToken enough)
    {
        var (sent, answered) = (0, 0);
        while (answered < sent || !enough.IsCancellationRequested)
        {
            if (sent - answered < 16 && !enough.IsCancellationRequested)
            {
                await alice.SendAsync("bob", sent++.ToString(CultureInfo.InvariantCulture));
                continue;
            }

            if ((await alice.ReceiveAsync()).Type == "sent")
                answered++;
        }

        return sent;
    }
}
