namespace SimpleChat.Lab.Rules;

/// <summary>I7: garbage is answered with one error, or with a close code.</summary>
internal sealed class EveryEndHasAName(RunState run)
    : Rule(run, "I7", "SimpleChat/Wire/ConnectionEnd.cs", "SimpleChat.Tests/ClosingTests.cs")
{
    private FrameEntry? _garbage, _error;

    public override void Reached(FrameEntry frame)
    {
        if (frame.Fate == "injected")
            (_garbage, _error) = (frame, null);
        else if (frame is { Way: "down", What: "error" } && frame.Line == _garbage?.Line)
            _error ??= frame;
    }

    public override void Settled(bool isLong)
    {
        if (_garbage is not { } garbage || !Run.Lines.TryGetValue(garbage.Line, out var line) || line.End is null && _error is null)
            return;
        _garbage = null;
        if (line.End is null && _error is { } error)
            Say(true, $"{garbage.Who}'s garbage was answered with one error, and the connection goes on.", [garbage.N, error.N]);
        else if (line.End is { Code: { } code } end)
            Say(true, $"{garbage.Who}'s garbage ended that connection, with a name: close code {code}.", [garbage.N, end.N]);
        else if (line.End is { } silent)
            Say(false, $"{garbage.Who}'s garbage ended that connection without a word.", [garbage.N, silent.N]);
    }
}
