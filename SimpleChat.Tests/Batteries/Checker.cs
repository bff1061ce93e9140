namespace SimpleChat.Tests.Batteries;

/// <summary>What can be wrong with what a server did.</summary>
internal enum Wrong
{
    /// <summary>Confirmed, never came out, although a later one of the same sender did: a hole.</summary>
    LostInTheMiddle,

    /// <summary>Confirmed, never came out, nor did anything of the same sender after it: cut off.</summary>
    LostAtTheEnd,

    /// <summary>Came out or is stored, and nobody sent it.</summary>
    Phantom,

    /// <summary>Came back over the connection that had sent it, before it was answered there.</summary>
    Echoed,

    /// <summary>Came out and is not stored: it was pushed before it was written, or lost since.</summary>
    Unstored,

    /// <summary>One message under two ids, or twice over one connection.</summary>
    Duplicated,

    /// <summary>
    /// A sender's messages in another order than they were sent, ids that fall on a connection, or an id below one that was confirmed
    /// before the message was sent.
    /// </summary>
    Reordered,

    /// <summary>Left out on a connection, over which later ones came, and came over a later connection: a hole until then.</summary>
    Skipped,

    /// <summary>MessageDB and InboxDB disagree, with each other or with what was acknowledged.</summary>
    Torn,

    /// <summary>Two messages under one id.</summary>
    IdGivenOutTwice,

    /// <summary>Pushed over a connection that was opened after it had been reported as delivered.</summary>
    PushedAfterDelivered,

    /// <summary>An id rose and its time fell, or a message's time is not the same everywhere.</summary>
    TimeFell,

    /// <summary>SQLite itself finds the file damaged, or an index lacks a message.</summary>
    Damaged,
}

/// <summary>One thing that is wrong.</summary>
internal sealed record Finding(Wrong Wrong, string What)
{
    public override string ToString() => $"{Wrong}: {What}";
}

/// <summary>What the checker says.</summary>
/// <param name="Confirmed">Messages whose sender was told that they are stored.</param>
/// <param name="CameOut">Messages that reached the one they were for.</param>
/// <param name="Recovered">Messages never answered and stored all the same: allowed.</param>
/// <param name="Findings">Everything that is wrong.</param>
internal sealed record Verdict(int Confirmed, int CameOut, int Recovered, IReadOnlyList<Finding> Findings)
{
    public override string ToString() =>
        $"{Confirmed} confirmed, {CameOut} came out, {Recovered} recovered, {Findings.Count} findings" +
        string.Concat(Findings.Take(20).Select(finding => $"\n  {finding}"));
}

/// <summary>
/// Holds the clients' records against each other and against the database. The records must go to the very end: every message that is still
/// in an inbox was drained into them, after <paramref name="stored"/> was read.
/// </summary>
/// <param name="records">Everybody's.</param>
/// <param name="stored">What was in the database when the load was over and before the final drain.</param>
internal sealed class Checker(IReadOnlyCollection<Record> records, StoredState stored)
{
    private readonly List<Finding> _findings = [];
    private readonly Dictionary<(string From, string Text), (string To, string Name, int Number, int Line)> _sent = [];
    private readonly Dictionary<(string From, string Name), string> _texts = [];
    private readonly Dictionary<long, (string From, string Text)> _ids = [];
    private readonly Dictionary<(string From, string Text), long> _messages = [];

    public static Verdict Check(IReadOnlyCollection<Record> records, StoredState stored) => new Checker(records, stored).Run();

    private Verdict Run()
    {
        var confirmed = new Dictionary<long, long>(); // id → time
        var cameOut = new Dictionary<long, long>(); // id → time
        var acknowledged = new HashSet<long>();
        var delivered = new Dictionary<long, long>(); // id → order
        foreach (var record in records)
        {
            foreach (var entry in record.Entries.Where(entry => entry.Did == Did.Sent))
            {
                _sent.TryAdd((record.User, entry.Text), (entry.Other, entry.Name, _sent.Count, entry.Line)); // a repeat keeps its place
                _texts.TryAdd((record.User, entry.Name), entry.Text);
            }
        }

        foreach (var record in records)
        {
            var answered = new HashSet<string>();
            foreach (var entry in record.Entries)
            {
                switch (entry.Did)
                {
                    case Did.WasConfirmed:
                        answered.Add(entry.Name);
                        Identify(entry.Id, record.User, _texts[(record.User, entry.Name)]);
                        if (!confirmed.TryAdd(entry.Id, entry.SentAt) && confirmed[entry.Id] != entry.SentAt)
                            Report(Wrong.TimeFell, $"{entry.Id} was confirmed with two times");
                        break;
                    case Did.Received:
                        Identify(entry.Id, entry.Other, entry.Text);
                        // What the user sent over an earlier connection comes too, if it was stored later than this one was opened.
                        if (!_sent.TryGetValue((entry.Other, entry.Text), out var sent))
                            Report(Wrong.Phantom, $"{record.User} received {entry.Id} from {entry.Other}, who did not send it");
                        else if (sent.To != record.User && entry.Other == record.User && sent.Line >= entry.Line)
                            Report(answered.Contains(sent.Name) ? Wrong.Phantom : Wrong.Echoed,
                                $"{record.User} received {entry.Id} over the connection that had sent it");
                        else if (sent.To != record.User && entry.Other != record.User)
                            Report(Wrong.Phantom, $"{record.User} received {entry.Id} from {entry.Other}: nobody sent it to {record.User}");
                        if (!cameOut.TryAdd(entry.Id, entry.SentAt) && cameOut[entry.Id] != entry.SentAt)
                            Report(Wrong.TimeFell, $"{entry.Id} came out with two times");
                        break;
                    case Did.Acknowledged:
                        acknowledged.Add(entry.Id);
                        break;
                    case Did.WasToldDelivered:
                        delivered.TryAdd(entry.Id, entry.Order);
                        break;
                }
            }
        }

        foreach (var record in records)
            CheckLines(record, delivered);
        CheckRise();
        CheckStored(confirmed, cameOut, acknowledged, delivered);
        CheckLost(confirmed, cameOut);
        return new Verdict(confirmed.Count, cameOut.Count, stored.Messages.Count(message => !confirmed.ContainsKey(message.Id)), _findings);
    }

    /// <summary>An id is one message's, and a message has one id.</summary>
    private void Identify(long id, string from, string text)
    {
        if (!_ids.TryAdd(id, (from, text)) && _ids[id] != (from, text))
            Report(Wrong.IdGivenOutTwice, $"{id} is {_ids[id]} and {(from, text)}");
        if (!_messages.TryAdd((from, text), id) && _messages[(from, text)] != id)
            Report(Wrong.Duplicated, $"{(from, text)} is {_messages[(from, text)]} and {id}");
    }

    /// <summary>
    /// On one connection ids only rise, and none is left out. Nothing comes over a connection that was delivered before it was opened.
    /// </summary>
    private void CheckLines(Record record, Dictionary<long, long> delivered)
    {
        var (opened, first, last) = (0L, 0L, 0L);
        var earlier = new List<(long First, long Last)>(); // connections, and what came over them
        var came = new HashSet<long>();
        foreach (var entry in record.Entries)
        {
            if (entry.Did == Did.Connected)
            {
                if (last > 0)
                    earlier.Add((first, last));
                (opened, first, last) = (entry.Order, 0, 0);
            }

            if (entry.Did != Did.Received)
                continue;
            if (first == 0)
                first = entry.Id;
            if (came.Add(entry.Id) && entry.Other != record.User && earlier.Any(one => one.First < entry.Id && entry.Id < one.Last))
                Report(Wrong.Skipped, $"{record.User} received {entry.Id} only after a connection over which later ones came");
            if (entry.Id == last)
                Report(Wrong.Duplicated, $"{record.User} received {entry.Id} twice over one connection");
            if (entry.Id < last)
                Report(Wrong.Reordered, $"{record.User} received {entry.Id} after {last}");
            if (delivered.TryGetValue(entry.Id, out var told) && told < opened)
                Report(Wrong.PushedAfterDelivered, $"{record.User} received {entry.Id} again");
            last = Math.Max(last, entry.Id);
        }
    }

    /// <summary>
    /// Who sends after a confirmation gets a higher id than the confirmed one, whoever's it was; a restart changes nothing.
    /// </summary>
    private void CheckRise()
    {
        var highest = 0L;
        var floors = new Dictionary<(string From, string Name), long>();
        var all = records.SelectMany(record => record.Entries, (record, entry) => (record.User, Entry: entry));
        foreach (var (user, entry) in all.Where(one => one.Entry.Did is Did.Sent or Did.WasConfirmed).OrderBy(one => one.Entry.Order))
        {
            if (entry.Did == Did.Sent)
            {
                floors.TryAdd((user, entry.Name), highest);
                continue;
            }

            if (entry.Id <= floors[(user, entry.Name)])
                Report(Wrong.Reordered, $"{entry.Id} of {user} was sent when {floors[(user, entry.Name)]} was confirmed already");
            highest = Math.Max(highest, entry.Id);
        }
    }

    private void CheckStored(
        Dictionary<long, long> confirmed, Dictionary<long, long> cameOut, HashSet<long> acknowledged, Dictionary<long, long> delivered)
    {
        if (stored.Integrity != "ok")
            Report(Wrong.Damaged, stored.Integrity);
        var rows = new Dictionary<long, StoredMessage>();
        var places = new Dictionary<string, (int Number, int Line, long Id)>();
        var time = long.MinValue;
        foreach (var message in stored.Messages.OrderBy(message => message.Id))
        {
            rows.Add(message.Id, message);
            Identify(message.Id, message.From, message.Text);
            if (message.SentAt < time)
                Report(Wrong.TimeFell, $"{message.Id} is stored with {message.SentAt}, after {time}");
            if (confirmed.GetValueOrDefault(message.Id, message.SentAt) != message.SentAt
                || cameOut.GetValueOrDefault(message.Id, message.SentAt) != message.SentAt)
                Report(Wrong.TimeFell, $"{message.Id} is stored with {message.SentAt}, and was shown with another time");
            time = Math.Max(time, message.SentAt);
            if (!_sent.TryGetValue((message.From, message.Text), out var sent) || (sent.To, sent.Name) != (message.To, message.Name))
            {
                Report(Wrong.Phantom, $"{message.Id} is stored: nobody sent it");
                continue;
            }

            if (places.TryGetValue(message.From, out var before) && before.Number > sent.Number)
            {
                // Given up, with its line, while it was on its way: it may be stored later than what went over the next line.
                if (sent.Line < before.Line && !confirmed.ContainsKey(message.Id))
                    continue;
                Report(Wrong.Reordered, $"{message.Id} of {message.From} was sent before {before.Id}");
            }

            places[message.From] = (sent.Number, sent.Line, message.Id);
        }

        foreach (var id in cameOut.Keys.Where(id => !rows.ContainsKey(id)))
            Report(Wrong.Unstored, $"{id} {_ids[id]} came out and is not stored");

        var waiting = new HashSet<long>();
        foreach (var row in stored.Inbox)
        {
            if (!waiting.Add(row.Id) || !rows.TryGetValue(row.Id, out var message)
                || (message.From, message.To) != (row.Sender, row.Recipient))
                Report(Wrong.Torn, $"{row} has no message like that");
            else if (delivered.ContainsKey(row.Id) && !acknowledged.Contains(row.Id))
                Report(Wrong.Torn, $"{row.Id} was reported as delivered without an ack");
        }

        foreach (var message in stored.Messages)
        {
            if (!waiting.Contains(message.Id) && !acknowledged.Contains(message.Id))
                Report(Wrong.Torn, $"{message.Id} is in no inbox, and {message.To} never acknowledged it");
        }
    }

    private void CheckLost(Dictionary<long, long> confirmed, Dictionary<long, long> cameOut)
    {
        var kept = stored.Messages.Select(message => message.Id).Where(cameOut.ContainsKey).ToHashSet();
        var lastOf = new Dictionary<string, long>();
        foreach (var id in kept)
            lastOf[_ids[id].From] = Math.Max(id, lastOf.GetValueOrDefault(_ids[id].From));
        foreach (var id in confirmed.Keys.Where(id => !kept.Contains(id)))
        {
            Report(id < lastOf.GetValueOrDefault(_ids[id].From) ? Wrong.LostInTheMiddle : Wrong.LostAtTheEnd,
                $"{id} {_ids[id]} was confirmed and {(cameOut.ContainsKey(id) ? "is not stored" : "never came out")}");
        }
    }

    private void Report(Wrong wrong, string what) => _findings.Add(new Finding(wrong, what));
}
