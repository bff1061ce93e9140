namespace SimpleChat.Lab.Rules;

/// <summary>Watches over a promise. What it hears of, it hears of after <paramref name="run"/>.</summary>
/// <param name="run">The run so far.</param>
/// <param name="promise">I1 to I9.</param>
/// <param name="file">The file that is responsible.</param>
/// <param name="test">A test that shows it.</param>
internal abstract class Rule(RunState run, string promise, string file, string test)
{
    private readonly HashSet<string> _said = [];

    /// <summary>What there is to say and was not said yet.</summary>
    public Queue<VerdictEntry> Verdicts { get; } = [];

    /// <summary>The run so far.</summary>
    protected RunState Run => run;

    /// <summary>An entry other than a frame.</summary>
    public virtual void See(Entry entry)
    {
    }

    /// <summary>A frame reached the cable.</summary>
    public virtual void Reached(FrameEntry frame)
    {
    }

    /// <summary>A frame goes on to the one it is for.</summary>
    public virtual void WentOn(FrameEntry frame)
    {
    }

    /// <summary>Nothing has happened for a while.</summary>
    /// <param name="isLong">Whether for so long that what has not come will not come by itself.</param>
    public virtual void Settled(bool isLong)
    {
    }

    /// <summary>Says it, unless it was said already.</summary>
    /// <param name="held">Whether the promise held.</param>
    /// <param name="sentence">What happened.</param>
    /// <param name="because">The entries that show it.</param>
    /// <param name="about">The messages that it is about, if somebody was to see them.</param>
    /// <param name="saw">What was seen, if it is about none that is stored.</param>
    protected void Say(bool held, string sentence, IEnumerable<int> because, IReadOnlyCollection<StoredMessage>? about = null,
        string? saw = null)
    {
        if (!_said.Add(sentence))
            return;
        saw ??= about is not { Count: > 0 } ? null
            : about.Any(message => run.TimesShown(message) > 1) ? "twice"
            : about.All(message => run.TimesShown(message) == 1) ? "once"
            : "nothing";
        var predicted = saw is null ? null : run.Prediction?.Says;
        if (saw is not null)
            run.Prediction = null;
        Verdicts.Enqueue(new VerdictEntry(promise, held, char.ToUpperInvariant(sentence[0]) + sentence[1..],
            [.. because.Where(n => n > 0).Distinct().Order()], file, test, saw, predicted));
    }
}
