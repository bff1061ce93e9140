namespace SimpleChat.Tests;

/// <summary>A test of two nodes: skipped with a reason where the engines are missing.</summary>
internal sealed class FactAttribute : Xunit.FactAttribute
{
    public FactAttribute() => Skip = Engines.Missing;
}

/// <summary>The same with cases.</summary>
internal sealed class TheoryAttribute : Xunit.TheoryAttribute
{
    public TheoryAttribute() => Skip = Engines.Missing;
}

/// <summary>A test of nodes in a network of their own: skipped with a reason where there can be none.</summary>
internal sealed class NetworkFactAttribute : Xunit.FactAttribute
{
    public NetworkFactAttribute() => Skip = Engines.Missing ?? Network.Missing;
}
