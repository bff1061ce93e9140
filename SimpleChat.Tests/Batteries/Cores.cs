using System.Numerics;
using System.Runtime.InteropServices;

namespace SimpleChat.Tests.Batteries;

/// <summary>
/// Who runs on which core: the server and the bystanders on the first one that we may use, the attackers on the second. Linux alone offers
/// it, through masks of at most 64 cores (sched_setaffinity(2)). Elsewhere, and with a single core, nothing is pinned.
/// </summary>
internal static class Cores
{
    private static readonly ulong All = Allowed();
    private static readonly ulong Servers = All & (~All + 1);
    private static readonly ulong Attackers = (All ^ Servers) & (~(All ^ Servers) + 1);

    /// <summary>In words, for the table.</summary>
    public static string Description => Attackers == 0
        ? "one core only, or no way to pin: the attackers take their time from the server and from the bystanders"
        : $"server and bystanders on core {BitOperations.TrailingZeroCount(Servers)}, " +
            $"attackers on core {BitOperations.TrailingZeroCount(Attackers)}";

    /// <summary>From now on the calling thread runs beside the server.</summary>
    public static void JoinServers() => Pin(Servers);

    /// <summary>From now on the calling thread runs away from the server.</summary>
    public static void JoinAttackers() => Pin(Attackers);

    /// <summary>Starts a process on the server's core: a child takes over the mask of the thread that starts it.</summary>
    public static void StartServer(Action start)
    {
        Pin(Servers);
        try
        {
            start();
        }
        finally
        {
            Pin(All);
        }
    }

    private static ulong Allowed()
    {
        ulong mask = 0;
        return OperatingSystem.IsLinux() && GetAffinity(0, sizeof(ulong), ref mask) >= 0 ? mask : 0;
    }

    private static void Pin(ulong mask)
    {
        if (Attackers != 0)
            _ = SetAffinity(0, sizeof(ulong), ref mask);
    }

    [DllImport("libc", EntryPoint = "sched_getaffinity")]
    private static extern int GetAffinity(int thread, nuint size, ref ulong mask);

    [DllImport("libc", EntryPoint = "sched_setaffinity")]
    private static extern int SetAffinity(int thread, nuint size, ref ulong mask);
}
