namespace SimpleChat.Lab.Rules;

/// <summary>I4: a slow reader costs nobody else anything. It is looked at while somebody's client does not read.</summary>
internal sealed class SlowReader(RunState run)
    : Rule(run, "I4", "SimpleChat/Drain.cs", "SimpleChat.Tests/ConnectionTests.cs")
{
    private FaultEntry? _stopped;

    public override void See(Entry entry)
    {
        switch (entry)
        {
            case FaultEntry { What: "stop-reading" } stopped:
                _stopped = stopped;
                break;
            case FaultEntry { What: "read" }:
                Settled(isLong: true);
                _stopped = null;
                break;
        }
    }

    public override void Settled(bool isLong)
    {
        if (_stopped is not { } stopped)
            return;
        var since = Run.Sendings.Where(sending => sending.Frame.N > stopped.N && sending.To == stopped.Who).ToArray();
        var answered = since.Where(sending => sending.Answer is not null).ToArray();
        if (since.Length == 0)
            return;
        if (answered.Length < since.Length && !isLong)
            return;
        if (answered.Length < since.Length)
            Say(false, $"{stopped.Who} does not read, and {since[0].Frame.Who} pays for it: after {answered.Length} messages there is no " +
                "answer any more.", [stopped.N, since[answered.Length].Frame.N]);
        else
            Say(true, $"{stopped.Who} does not read. {since[0].Frame.Who} got an answer to {(since.Length == 1 ? "the message"
                : $"all {since.Length} messages")}, the slowest in {since.Max(sending => sending.Answer!.T - sending.Frame.T):F0} ms; " +
                "what was not taken waits in the database.", [stopped.N, answered[^1].Answer!.N]);
    }
}
