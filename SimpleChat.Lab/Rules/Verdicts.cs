namespace SimpleChat.Lab.Rules;

/// <summary>Shows each entry of a run to all rules, and has what they say.</summary>
internal sealed class Verdicts
{
    private readonly RunState _run = new();
    private readonly Rule[] _rules;

    public Verdicts() => _rules =
    [
        new WrittenBeforePushed(_run), new InboxEmptiesOnDelivery(_run), new WaitsWhileAway(_run), new NoGap(_run), new SlowReader(_run),
        new RemovesOnlyItself(_run), new RepeatIsNoSecondMessage(_run), new EveryEndHasAName(_run), new OwnProblem(_run),
        new StorageFails(_run),
    ];

    /// <summary>Shows the next entry.</summary>
    public void See(Entry entry)
    {
        switch (entry)
        {
            case FrameEntry frame:
                _run.Reached(frame);
                Array.ForEach(_rules, rule => rule.Reached(frame));
                if (frame.Fate == "held")
                    _run.Held[frame.N] = frame;
                else if (frame.Fate != "lost")
                    WentOn(frame);
                break;
            case FrameOnEntry on when _run.Held.Remove(on.Of, out var frame):
                WentOn(frame);
                break;
            default:
                _run.Take(entry);
                Array.ForEach(_rules, rule => rule.See(entry));
                break;
        }
    }

    /// <summary>Nothing has happened for a while.</summary>
    /// <param name="isLong">Whether for so long that what has not come will not come by itself.</param>
    public void Settle(bool isLong) => Array.ForEach(_rules, rule => rule.Settled(isLong));

    /// <summary>The next thing to say; null if there is nothing.</summary>
    public VerdictEntry? Next() =>
        Array.Find(_rules, rule => rule.Verdicts.Count > 0)?.Verdicts.Dequeue();

    private void WentOn(FrameEntry frame)
    {
        _run.WentOn(frame);
        Array.ForEach(_rules, rule => rule.WentOn(frame));
    }
}
