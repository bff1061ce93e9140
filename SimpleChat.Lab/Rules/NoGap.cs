namespace SimpleChat.Lab.Rules;

/// <summary>I3: no gap, no repeat, no overtaking on one connection; and nothing is missing after a cut.</summary>
internal sealed class NoGap(RunState run)
    : Rule(run, "I3", "SimpleChat/Connection.cs", "SimpleChat.Tests/HandoffTests.cs")
{
    private LineEntry? _cut;

    public override void See(Entry entry)
    {
        if (entry is LineEntry { State: "cut" } cut && Run.Lines.ContainsKey(cut.Line))
            _cut = cut;
    }

    public override void Reached(FrameEntry frame)
    {
        if (frame is not { Way: "down", What: "message", Id: { } id } || !Run.Lines.TryGetValue(frame.Line, out var line))
            return;
        var before = line.Pushed.SkipLast(1).LastOrDefault();
        if (before >= id)
            Say(false, $"On one connection of {frame.Who}'s {id} came after {before}.", [frame.N]);
        var missing = Run.Messages.Values.FirstOrDefault(message =>
            message.IsInInbox && message.Row.To == frame.Who && message.Row.Id < id && !line.Pushed.Contains(message.Row.Id));
        if (missing is not null)
            Say(false, $"{frame.Who} got {id}, and {missing.Row.Id} still waits in the inbox: a hole.", [missing.Rows, frame.N], [missing]);
    }

    public override void Settled(bool isLong)
    {
        if (_cut is not { } cut || Run.OpenLinesOf(cut.Who).LastOrDefault(line => line.Entry.N > cut.N) is not { } back)
            return;
        var his = Run.Messages.Values.Where(message => message.Row.To == cut.Who).ToArray();
        if (his.Any(message => message.Pushes.Count > 0 && message.Pushes.TrueForAll(push => push.Fate == "lost")))
            return; // another rule has something to say about what the cable lost
        var missing = his.FirstOrDefault(message => message.Pushes.Count == 0);
        if (missing is not null && !isLong)
            return;
        _cut = null;
        var came = back.Pushed.Count(id => his.Any(message => message.Row.Id == id));
        if (missing is not null)
            Say(false, $"{cut.Who} is back, and {missing.Row.Id} never came.", [missing.Rows, cut.N, back.Entry.N], [missing]);
        else if (came > 0)
            Say(true, $"{cut.Who}'s cable was cut. After the return " +
                (came == 1 ? $"{back.Pushed[0]} came: nothing is missing."
                    : $"{came} messages came ({back.Pushed[0]}…{back.Pushed[^1]}), in rising order: nothing is missing."),
                [cut.N, back.Entry.N], [.. his.Where(message => back.Pushed.Contains(message.Row.Id))]);
    }
}
