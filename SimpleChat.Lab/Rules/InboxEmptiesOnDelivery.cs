namespace SimpleChat.Lab.Rules;

/// <summary>I2: what was lost on the way, or acknowledged in vain, comes again on the next connection.</summary>
internal sealed class InboxEmptiesOnDelivery(RunState run)
    : Rule(run, "I2", "SimpleChat/Steps.cs", "SimpleChat.Tests/Batteries/DeliveryBattery.cs")
{
    /// <summary>Frames that were lost on a cable, and the message each was about.</summary>
    private readonly List<(FrameEntry Frame, long Id)> _lost = [];

    public override void Reached(FrameEntry frame)
    {
        if (frame is { Fate: "lost", Way: "down", What: "message", Id: { } id })
            _lost.Add((frame, id));
        if (frame is { Fate: "lost", Way: "up", What: "ack", Ids: { } ids })
            _lost.AddRange(ids.Select(one => (frame, one)));
        if (frame is { Fate: "lost", Way: "down", What: "message", Id: null })
            Say(false, $"The message was lost on {frame.Who}'s cable. The server has kept nothing: it will never come.", [frame.N]);
    }

    public override void Settled(bool isLong)
    {
        foreach (var (frame, id) in _lost.ToArray())
        {
            if (!Run.Messages.TryGetValue(id, out var message))
                continue;
            var again = message.Pushes.Find(push => push.N > frame.N && push.Fate != "lost");
            var back = Run.Lines.Values.FirstOrDefault(line => line.Entry.Who == frame.Who && line.Entry.N > frame.N);
            if (again is not null && frame.What == "ack")
                Say(true, $"{frame.Who}'s ack of {id} was lost: the row stayed, and {id} came again. The client knows the id, " +
                    "and drops it.", [frame.N, again.N, message.Gone], [message]);
            else if (again is not null)
                Say(true, $"{id} was lost on the way to {frame.Who}. It was never acknowledged, so its row stayed, and it came again.",
                    [frame.N, again.N], [message]);
            else if (isLong && back is not null && !message.IsInInbox)
                Say(false, $"{id} was lost on the way to {frame.Who}, and it did not come again. The server took \"written\" for " +
                    "\"delivered\", and its row is gone.", [frame.N, message.Gone, back.Entry.N], [message]);
            else
                continue;
            _lost.Remove((frame, id));
        }
    }
}
