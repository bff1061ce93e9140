namespace SimpleChat.Lab.Rules;

/// <summary>I1: <c>sent</c> and every push come after the durable commit. It is looked at whenever the server says something, and after it
/// died.</summary>
internal sealed class WrittenBeforePushed(RunState run)
    : Rule(run, "I1", "SimpleChat/Storage/Writer.cs", "SimpleChat.Tests/Batteries/CrashBattery.cs")
{
    /// <summary>Messages that had no answer when the server died, and that death.</summary>
    private readonly List<(Sending Sending, ServerEntry Death)> _open = [];

    private bool _hasTables;

    public override void See(Entry entry)
    {
        if (entry is RowsEntry)
            _hasTables = true;
        if (entry is ServerEntry { State: "killed" } death)
        {
            _open.AddRange(Run.Sendings
                .Where(sending => sending.Answer is null && !_open.Exists(open => open.Sending == sending)).Select(one => (one, death)));
        }
    }

    public override void Reached(FrameEntry frame)
    {
        if (frame is not { Way: "down", What: "sent" or "message" })
            return;
        if (frame.Id is not { } id)
            Say(false, $"A message was pushed to {frame.Who} that is written nowhere. If this connection breaks now, it is gone.",
                [frame.N]);
        else if (_hasTables && !Run.Messages.ContainsKey(id))
            Say(false, $"`{frame.What}` {id} went out before {id} was in MessageDB.", [frame.N]);
    }

    public override void Settled(bool isLong)
    {
        foreach (var open in _open.ToArray())
        {
            var (sending, death) = open;
            var message = Run.Messages.Values.FirstOrDefault(sending.IsOf);
            var again = Run.Sendings.Find(other => other.Frame.N > death.N && other.Answer is not null
                && other.Frame.ClientMessageId == sending.Frame.ClientMessageId && other.Text == sending.Text);
            if (message is null || again is null && message.Pushes.Count == 0)
                continue; // it is not over yet
            _open.Remove(open);
            if (message.Rows > death.N)
                Say(true, $"The server died before COMMIT: \"{sending.Text}\" was in no table, and {sending.Frame.Who} was promised " +
                    $"nothing. The client sent it again, and now it is {message.Row.Id}.",
                    [sending.Frame.N, death.N, message.Rows], [message]);
            else
                Say(true, $"The server died after COMMIT: {message.Row.Id} was on disk, and {sending.Frame.Who} had no `sent`." +
                    (message.Pushes.Count > 0 ? $" {message.Row.To} got it after the restart." : ""),
                    [sending.Frame.N, message.Rows, death.N, again?.Answer?.N ?? 0, message.Pushes.FirstOrDefault()?.N ?? 0], [message]);
        }
    }
}
