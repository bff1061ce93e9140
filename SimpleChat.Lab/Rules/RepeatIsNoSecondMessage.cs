namespace SimpleChat.Lab.Rules;

/// <summary>I6: a repeat, under the name that the sender gave the message, is no second message.</summary>
internal sealed class RepeatIsNoSecondMessage(RunState run)
    : Rule(run, "I6", "SimpleChat/Steps.cs", "SimpleChat.Tests/SendTests.cs")
{
    public override void Settled(bool isLong)
    {
        var named = Run.Sendings.Where(sending => sending.Frame.ClientMessageId is not null && sending.Answer is not { What: "error" });
        foreach (var repeats in named.GroupBy(sending => (sending.Frame.Who, sending.Frame.ClientMessageId)).Where(all => all.Count() > 1))
        {
            var last = repeats.Last();
            StoredMessage[] rows = [.. Run.Messages.Values.Where(last.IsOf)];
            var because = repeats.SelectMany(sending => new[] { sending.Frame.N, sending.Answer?.N ?? 0 });
            if (rows is [var one] && last.Answer is not null)
                Say(true, $"{last.Frame.Who} sent \"{last.Text}\" {Times(repeats.Count())}. The repeat was answered with {one.Row.Id}, " +
                    "the first one's id: one row, one message.", [.. because, one.Rows], [one]);
            else if (rows.Length > 1)
                Say(false, $"{last.Frame.Who} sent \"{last.Text}\" {Times(repeats.Count())}, to be safe. " +
                    $"It is stored {Times(rows.Length)}: " +
                    $"{string.Join(" and ", rows.Select(row => row.Row.Id))}.", [.. because, .. rows.Select(row => row.Rows)], rows);
        }
    }

    private static string Times(int count) => count == 2 ? "twice" : $"{count} times";
}
