namespace SimpleChat.Lab.Rules;

/// <summary>I8: what one user does is that user's problem alone. It is looked at after garbage.</summary>
internal sealed class OwnProblem(RunState run)
    : Rule(run, "I8", "SimpleChat/Connection.cs", "SimpleChat.Tests/BadInputTests.cs")
{
    private FrameEntry? _garbage;
    private OpenLine[] _others = [];

    public override void See(Entry entry)
    {
        if (entry is FaultEntry { Do: "server" })
            _garbage = null; // if the others' connections end now, that is why
    }

    public override void Reached(FrameEntry frame)
    {
        if (frame.Fate == "injected")
            (_garbage, _others) = (frame, [.. Run.Lines.Values.Where(line => line.End is null && line.Entry.Who != frame.Who)]);
    }

    public override void Settled(bool isLong)
    {
        if (_garbage is not { } garbage || _others is not [var other, ..])
            return;
        _garbage = null;
        var answered = Run.Sendings.Find(sending => sending.Frame.N > garbage.N && sending.Frame.Who == other.Entry.Who
            && sending.Answer is { What: "sent" });
        if (Array.Find(_others, one => one.End is { State: "closed", By: "server" }) is { End: { } end })
            Say(false, $"{garbage.Who}'s garbage ended {end.Who}'s connection too.", [garbage.N, end.N]);
        else if (answered is { Answer: { } answer })
            Say(true, $"{garbage.Who}'s garbage is {garbage.Who}'s problem alone: {other.Entry.Who}'s connection goes on, and " +
                $"\"{answered.Text}\" was answered with `sent`.", [garbage.N, answered.Frame.N, answer.N]);
        else
            Say(true, $"{garbage.Who}'s garbage is {garbage.Who}'s problem alone: {other.Entry.Who}'s connection goes on.", [garbage.N]);
    }
}
