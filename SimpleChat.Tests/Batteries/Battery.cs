using System.Globalization;
using Xunit.Abstractions;

namespace SimpleChat.Tests.Batteries;

/// <summary>
/// What the batteries have in common. Each has a short run within <c>dotnet test</c> and a long one that differs only in numbers from the
/// environment:
/// <c>ROUNDS</c>, <c>MINUTES</c>, <c>SECONDS</c>, and <c>SEED</c> to play a run again. All of them stop by themselves.
/// </summary>
internal static class Battery
{
    /// <summary>The trait by which they are picked: <c>dotnet test --filter Category=Battery</c>.</summary>
    public const string Category = "Battery";

    /// <summary>The run's seed, given or drawn, and printed.</summary>
    public static int Seed(ITestOutputHelper output)
    {
        var seed = (int)Number("SEED", Random.Shared.Next(1_000_000_000));
        output.WriteLine($"SEED={seed}");
        return seed;
    }

    /// <summary>How often, unless the environment says otherwise.</summary>
    public static int Rounds(int unlessTold) => (int)Number("ROUNDS", unlessTold);

    /// <summary>How long, unless the environment says otherwise.</summary>
    public static TimeSpan Duration(TimeSpan unlessTold) => TimeSpan.FromMinutes(Number("MINUTES", unlessTold.TotalMinutes));

    /// <summary>How long each part of it, unless the environment says otherwise.</summary>
    public static TimeSpan Part(TimeSpan unlessTold) => TimeSpan.FromSeconds(Number("SECONDS", unlessTold.TotalSeconds));

    private static double Number(string variable, double unlessTold) =>
        Environment.GetEnvironmentVariable(variable) is { Length: > 0 } value
            ? double.Parse(value, CultureInfo.InvariantCulture)
            : unlessTold;
}
