namespace SimpleChat.Tests.Batteries;

/// <summary>A change of the server's source that breaks a promise, and the battery that must notice it.</summary>
/// <param name="Name">What is broken.</param>
/// <param name="Battery">The battery's class, or another test's.</param>
/// <param name="Edits">The change.</param>
internal sealed partial record Break(string Name, string Battery, params Break.Edit[] Edits)
{
    /// <summary>The project that is broken.</summary>
    public string Server { get; init; } = "SimpleChat";

    /// <summary>The project that has the battery.</summary>
    public string Tests => $"{Server}.Tests";

    /// <summary>In a file of the server, a piece of source that is there exactly once, and what takes its place.</summary>
    internal sealed record Edit(string File, string From, string To);

    public static IReadOnlyList<Break> All { get; } = [.. OfStorage, .. OfDelivery, .. OfEdges, .. OfNodes];

    public override string ToString() => $"{Server}, {Battery}: {Name}";
}
