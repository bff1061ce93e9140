namespace SimpleChat.Wire;

/// <summary>Message ids from the first to the last, both included.</summary>
internal readonly record struct IdRange(long First, long Last)
{
    /// <summary>The ids as ranges. Ids that follow each other are in one range.</summary>
    public static List<IdRange> Of(IReadOnlyList<long> ids)
    {
        var ranges = new List<IdRange>();
        foreach (var id in ids)
        {
            if (ranges.Count > 0 && ranges[^1].Last + 1 == id)
                ranges[^1] = ranges[^1] with { Last = id };
            else
                ranges.Add(new IdRange(id, id));
        }

        return ranges;
    }

    /// <summary>From the lowest to the highest id of both.</summary>
    public static IdRange Around(IdRange? one, IdRange other) =>
        one is { } range ? new IdRange(Math.Min(range.First, other.First), Math.Max(range.Last, other.Last)) : other;
}
