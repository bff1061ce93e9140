namespace SimpleChat.Lab.Rules;

/// <summary>I9: when storage fails, the sender hears it, nothing is pushed, and the server recovers by itself.</summary>
internal sealed class StorageFails(RunState run)
    : Rule(run, "I9", "SimpleChat/Storage/Writer.cs", "SimpleChat.Tests/Batteries/StorageBattery.cs")
{
    private FaultEntry? _full, _room;

    public override void See(Entry entry)
    {
        switch (entry)
        {
            case FaultEntry { What: "full-disk", On: true } full:
                (_full, _room) = (full, null);
                break;
            case FaultEntry { What: "full-disk" } room:
                _room = room;
                break;
        }
    }

    public override void WentOn(FrameEntry frame)
    {
        if (_full is not { } full)
            return;
        if (frame is { Way: "down", What: "error", ClientMessageId: not null }
            && frame.Text?.Contains("storage_unavailable") == true && _room is null)
            Say(true, $"The disk was full. {frame.Who} was told, and nothing was pushed. The client keeps the message and repeats it.",
                [full.N, frame.N], saw: "nothing");
    }

    public override void Settled(bool isLong)
    {
        if (_full is not { } full)
            return;
        if (_room is { } room && Run.Sendings.FindLast(one => one.Answer is { What: "sent" } answer && answer.N > room.N) is { } stored)
        {
            _full = null;
            Say(true, $"There was room again, and the server stored {stored.Answer!.Id} without a restart.", [room.N, stored.Answer.N],
                [.. Run.Messages.Values.Where(message => message.Row.Id == stored.Answer.Id)]);
        }
        else if (_room is null && Run.Sendings.Find(one => one.Frame.N > full.N && one.Answer is null) is { } sending
            && Run.Lines.TryGetValue(sending.Frame.Line, out var line) && line.End is { } end)
        {
            Say(false, $"The disk was full, and {sending.Frame.Who} was told nothing: the connection just ended.",
                [full.N, sending.Frame.N, end.N]);
        }
    }
}
