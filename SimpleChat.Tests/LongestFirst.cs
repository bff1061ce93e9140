using Xunit.Abstractions;

namespace SimpleChat.Tests;

/// <summary>What takes longest and runs one after the other begins first: otherwise the rest would wait for it at the end.</summary>
public sealed class LongestFirst : ITestCollectionOrderer
{
    private static readonly string[] Long = [ThePage.PageTests.Name, Ladder.LadderBuilds.Collection, nameof(Batteries.CrashBattery)];

    public IEnumerable<ITestCollection> OrderTestCollections(IEnumerable<ITestCollection> testCollections) =>
        testCollections.OrderBy(collection => Rank(collection.DisplayName));

    private static int Rank(string name)
    {
        var place = Array.FindIndex(Long, part => name.EndsWith(part, StringComparison.Ordinal));
        return place < 0 ? Long.Length : place;
    }
}
