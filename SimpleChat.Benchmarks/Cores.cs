using System.Globalization;
using System.Numerics;
using System.Runtime.InteropServices;

namespace SimpleChat.Benchmarks;

/// <summary>Where a server process may run.</summary>
internal enum Place
{
    /// <summary>The first core, away from the generator on the second.</summary>
    OneCore,

    /// <summary>Wherever the machine lets it.</summary>
    AllCores,

    /// <summary>The second core, which it shares with the generator.</summary>
    GeneratorsCore,
}

/// <summary>
/// Who runs on which core: the server on the first one we may use, the generator on the second. Linux alone offers it, through masks of at
/// most 64 cores; elsewhere, and with a single core, nothing is pinned and the table says so.
/// A child takes over the mask of the thread that starts it.
/// </summary>
internal static partial class Cores
{
    private static readonly ulong AllMask = CurrentMask();
    private static readonly ulong ServerMask = AllMask & (~AllMask + 1);
    private static readonly ulong GeneratorMask = (AllMask ^ ServerMask) & (~(AllMask ^ ServerMask) + 1);

    public static bool Pinned => GeneratorMask != 0;

    public static int Count { get; } = AllMask == 0 ? Environment.ProcessorCount : BitOperations.PopCount(AllMask);

    /// <summary>Says it for the table.</summary>
    public static string Description => Pinned
        ? $"server on core {BitOperations.TrailingZeroCount(ServerMask)}, " +
            $"generator on core {BitOperations.TrailingZeroCount(GeneratorMask)}"
        : "nothing pinned";

    /// <summary>Puts every thread of this process on the generator's core; later ones inherit it.</summary>
    public static void PinGenerator()
    {
        if (!Pinned)
            return;
        foreach (var thread in Directory.EnumerateDirectories("/proc/self/task"))
            SetMask(int.Parse(Path.GetFileName(thread), CultureInfo.InvariantCulture), GeneratorMask);
    }

    /// <summary>Starts processes in their place.</summary>
    /// <param name="place">The place.</param>
    /// <param name="start">Starts them on this thread, and waits for nothing else.</param>
    public static T Start<T>(Place place, Func<T> start)
    {
        if (!Pinned)
            return start();
        SetMask(0, place switch { Place.OneCore => ServerMask, Place.AllCores => AllMask, _ => GeneratorMask });
        try
        {
            return start();
        }
        finally
        {
            SetMask(0, GeneratorMask);
        }
    }

    private static ulong CurrentMask()
    {
        ulong mask = 0;
        return OperatingSystem.IsLinux() && sched_getaffinity(0, sizeof(ulong), ref mask) >= 0 ? mask : 0;
    }

    private static void SetMask(int thread, ulong mask) => _ = sched_setaffinity(thread, sizeof(ulong), ref mask);

    [LibraryImport("libc")]
    private static partial int sched_getaffinity(int thread, nuint size, ref ulong mask);

    [LibraryImport("libc")]
    private static partial int sched_setaffinity(int thread, nuint size, ref ulong mask);
}
