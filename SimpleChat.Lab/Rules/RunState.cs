using System.Text;
using System.Text.Json;

namespace SimpleChat.Lab.Rules;

/// <summary>A message that was sent, as far as it has come.</summary>
/// <param name="Frame">The frame that it was sent in.</param>
/// <param name="To">For whom it is.</param>
/// <param name="Text">What it says.</param>
internal sealed record Sending(FrameEntry Frame, string? To, string? Text)
{
    /// <summary>What the server answered: <c>sent</c> or <c>error</c>; null as long as it has not.</summary>
    public FrameEntry? Answer { get; set; }

    /// <summary>Whether it became this row.</summary>
    public bool IsOf(StoredMessage message) => message.Row.From == Frame.Who && message.Row.To == To
        && (Text is null || message.Row.Text == Text)
        && (message.Row.ClientMessageId ?? Frame.ClientMessageId) == Frame.ClientMessageId;
}

/// <summary>A row of MessageDB, and what became of the message.</summary>
/// <param name="Row">The row.</param>
/// <param name="Rows">The entry that shows it.</param>
internal sealed record StoredMessage(Row Row, int Rows)
{
    /// <summary>Whether its InboxDB row is there.</summary>
    public bool IsInInbox { get; set; }

    /// <summary>The entry that shows that its InboxDB row is gone; 0 if none does.</summary>
    public int Gone { get; set; }

    /// <summary>The frames in which the server pushed it to the recipient, lost ones included.</summary>
    public List<FrameEntry> Pushes { get; } = [];
}

/// <summary>A WebSocket.</summary>
/// <param name="Entry">The entry with which it opened.</param>
internal sealed record OpenLine(LineEntry Entry)
{
    /// <summary>The entry that shows its end; null while it is open.</summary>
    public LineEntry? End { get; set; }

    /// <summary>The ids that were pushed over it, in order.</summary>
    public List<long> Pushed { get; } = [];
}

/// <summary>What the entries of a run come to.</summary>
internal sealed class RunState
{
    private readonly Dictionary<(string Who, int Tab, long Id), int> _shown = [];

    /// <summary>MessageDB, by id.</summary>
    public SortedDictionary<long, StoredMessage> Messages { get; } = [];

    /// <summary>Every WebSocket that was ever open, by number.</summary>
    public SortedDictionary<int, OpenLine> Lines { get; } = [];

    /// <summary>Every message that was sent and reached the server, in order.</summary>
    public List<Sending> Sendings { get; } = [];

    /// <summary>Frames that are held, by entry.</summary>
    public Dictionary<int, FrameEntry> Held { get; } = [];

    /// <summary>What was predicted, until it is answered.</summary>
    public PredictEntry? Prediction { get; set; }

    /// <summary>Somebody's open WebSockets.</summary>
    public IEnumerable<OpenLine> OpenLinesOf(string who) => Lines.Values.Where(line => line.Entry.Who == who && line.End is null);

    /// <summary>How often a message stands on its recipient's screen; a second tab is another screen.</summary>
    public int TimesShown(StoredMessage message) => _shown
        .Where(shown => shown.Key.Who == message.Row.To && shown.Key.Id == message.Row.Id)
        .Select(shown => shown.Value).DefaultIfEmpty().Max();

    /// <summary>Takes an entry, other than a frame.</summary>
    public void Take(Entry entry)
    {
        switch (entry)
        {
            case LineEntry { State: "open" } line:
                Lines[line.Line] = new OpenLine(line);
                break;
            case LineEntry { State: "closed" or "cut" } line when Lines.TryGetValue(line.Line, out var open):
                open.End = line;
                break;
            case RowsEntry { Table: "MessageDB" } rows:
                foreach (var row in rows.Added)
                    Messages[row.Id] = new StoredMessage(row, rows.N);
                break;
            case RowsEntry rows:
                foreach (var row in rows.Added.Where(row => Messages.ContainsKey(row.Id)))
                    Messages[row.Id].IsInInbox = true;
                foreach (var row in rows.Gone.Where(row => Messages.ContainsKey(row.Id)))
                    (Messages[row.Id].IsInInbox, Messages[row.Id].Gone) = (false, rows.N);
                break;
            case ScreenEntry { What: "shown", Who: { } who, Id: { } id } screen:
                _shown[(who, screen.Tab ?? 1, id)] = _shown.GetValueOrDefault((who, screen.Tab ?? 1, id)) + 1;
                break;
            case PredictEntry prediction:
                Prediction = prediction;
                break;
        }
    }

    /// <summary>Takes a frame that reached the cable.</summary>
    public void Reached(FrameEntry frame)
    {
        if (frame is not { Way: "down", What: "message", Id: { } id } || !Lines.TryGetValue(frame.Line, out var line))
            return;
        line.Pushed.Add(id);
        if (Messages.TryGetValue(id, out var message) && message.Row.To == frame.Who)
            message.Pushes.Add(frame);
    }

    /// <summary>Takes a frame that goes on, to the one it is for.</summary>
    public void WentOn(FrameEntry frame)
    {
        switch (frame)
        {
            case { Way: "up", What: "send" }:
                Sendings.Add(new Sending(frame, Property(frame, "to"), Property(frame, "text")));
                break;
            case { Way: "down", What: "sent" or "error" }:
                var asked = Sendings.Find(sending => sending.Answer is null && sending.Frame.Line == frame.Line
                    && (frame.ClientMessageId is null || frame.ClientMessageId == sending.Frame.ClientMessageId));
                asked?.Answer = frame;
                break;
        }
    }

    /// <summary>A property of a message, which may be cut off in the record.</summary>
    private static string? Property(FrameEntry frame, string name)
    {
        try
        {
            var json = new Utf8JsonReader(Encoding.UTF8.GetBytes(frame.Text ?? ""), isFinalBlock: false, state: default);
            while (json.Read())
            {
                if (json is { TokenType: JsonTokenType.PropertyName, CurrentDepth: 1 } && json.ValueTextEquals(name))
                    return json.Read() && json.TokenType == JsonTokenType.String ? json.GetString() : null;
            }

            return null;
        }
        catch (JsonException)
        {
            return null; // no message
        }
    }
}
