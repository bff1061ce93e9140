namespace SimpleChat.Lab.Rules;

/// <summary>I2 for somebody who is away: what comes meanwhile waits, and is there when he is back.</summary>
internal sealed class WaitsWhileAway(RunState run)
    : Rule(run, "I2", "SimpleChat/Chat.cs", "SimpleChat.Tests/InboxTests.cs")
{
    /// <summary>What was sent to somebody who was away.</summary>
    private readonly List<Sending> _waiting = [];

    public override void WentOn(FrameEntry frame)
    {
        if (frame is { Way: "up", What: "send" } && Run.Sendings[^1] is { To: { } to } sending && !Run.OpenLinesOf(to).Any())
            _waiting.Add(sending);
    }

    public override void Settled(bool isLong)
    {
        foreach (var his in _waiting.GroupBy(sending => sending.To!).ToArray())
        {
            if (Run.OpenLinesOf(his.Key).LastOrDefault(line => line.Entry.N > his.First().Frame.N) is not { } back)
                continue;
            StoredMessage[] stored = [.. Run.Messages.Values.Where(message => message.Row.To == his.Key
                && his.Any(sending => sending.Answer?.Id == message.Row.Id || sending.Text == message.Row.Text))];
            StoredMessage[] came = [.. stored.Where(message => message.Pushes.Exists(push => push.N > back.Entry.N))];
            if (!isLong && (stored.Length == 0 || came.Length < stored.Length))
                continue;
            _waiting.RemoveAll(sending => sending.To == his.Key);
            if (stored.Length == 0)
                Say(false, $"{his.Key} was away, and \"{his.First().Text}\" was written nowhere. {his.Key} is back, and will never see it.",
                    [his.First().Frame.N, back.Entry.N], saw: "nothing");
            else if (came.Length == stored.Length)
                Say(true, $"{his.Key} was away. {Ids(stored)} waited in InboxDB, and came on the return.",
                    [.. stored.Select(message => message.Rows), back.Entry.N, .. came.Select(message => message.Pushes[0].N)], stored);
            else
                Say(false, $"{his.Key} was away, is back, and {Ids([.. stored.Except(came)])} did not come: " +
                    "nobody has noted what is still to be delivered.", [stored[0].Rows, back.Entry.N], stored);
        }
    }

    private static string Ids(StoredMessage[] messages) =>
        messages is [var one] ? $"{one.Row.Id}" : $"{messages[0].Row.Id} to {messages[^1].Row.Id}";
}
