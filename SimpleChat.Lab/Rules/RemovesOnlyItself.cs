namespace SimpleChat.Lab.Rules;

/// <summary>I5: a connection removes only itself from the map. It is looked at when one of several leaves.</summary>
internal sealed class RemovesOnlyItself(RunState run)
    : Rule(run, "I5", "SimpleChat/Connections.cs", "SimpleChat.Tests/ConnectionTests.cs")
{
    private LineEntry? _left;

    public override void See(Entry entry)
    {
        if (entry is LineEntry { State: "closed" } left && Run.Lines.ContainsKey(left.Line) && Run.OpenLinesOf(left.Who).Any())
            _left = left;
    }

    public override void Settled(bool isLong)
    {
        if (_left is not { } left || Run.OpenLinesOf(left.Who).LastOrDefault() is not { } other
            || Run.Sendings.Find(sending => sending.Frame.N > left.N && sending.To == left.Who) is not { } sending)
            return;
        var isPushed = IsPushed(sending, left);
        if (!isPushed && !isLong)
            return;
        _left = null;
        if (isPushed)
            Say(true, $"One of {left.Who}'s connections left, and took only itself out of the map: \"{sending.Text}\" came over the " +
                "other.", [left.N, sending.Frame.N]);
        else
            Say(false, $"One of {left.Who}'s connections left, and the map took {left.Who} for away: \"{sending.Text}\" did not come " +
                "over the other, which is open.", [left.N, other.Entry.N, sending.Frame.N]);
    }

    private bool IsPushed(Sending sending, LineEntry left) => Run.Messages.Values.Any(message =>
        message.Row.Text == sending.Text && message.Pushes.Any(push => push.N > left.N));
}
