namespace SimpleChat.Lab.Rules;

/// <summary>I7 and I8: garbage is answered with one error, or with a close code, on that connection alone.</summary>
internal sealed class EveryEndHasAName(RunState run)
    : Rule(run, "I7", "SimpleChat/Wire/ConnectionEnd.cs", "SimpleChat.Tests/ClosingTests.cs")
{
    private FrameEntry? _garbage, _error;
    private bool _hadOthers;

    public override void Reached(FrameEntry frame)
    {
        if (frame.Fate == "injected")
            (_garbage, _error, _hadOthers) = (frame, null, Run.Lines.Values.Any(line => line.End is null && line.Entry.Line != frame.Line));
        else if (frame is { Way: "down", What: "error" } && frame.Line == _garbage?.Line)
            _error ??= frame;
    }

    public override void Settled(bool isLong)
    {
        if (_garbage is not { } garbage || !Run.Lines.TryGetValue(garbage.Line, out var line) || line.End is null && _error is null)
            return;
        var others = _hadOthers && Run.Lines.Values.All(other => other.End is { } end && end.N > garbage.N || other.End is not null)
            ? " Everybody else's connection ended too." : _hadOthers ? " Nobody else noticed." : "";
        var isAlone = !others.StartsWith(" Every", StringComparison.Ordinal);
        _garbage = null;
        if (line.End is null && _error is { } error)
            Say(isAlone, $"{garbage.Who}'s garbage was answered with one error, and the connection goes on.{others}", [garbage.N, error.N]);
        else if (line.End is { Code: { } code } end)
            Say(isAlone, $"{garbage.Who}'s garbage ended that connection, with a name: close code {code}.{others}", [garbage.N, end.N]);
        else if (line.End is { } silent)
            Say(false, $"{garbage.Who}'s garbage ended that connection without a word.{others}", [garbage.N, silent.N]);
    }
}
