using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Data.Sqlite;

namespace SimpleChat.Benchmarks;

/// <summary>Where and when the figures were taken: without it they mean nothing.</summary>
internal sealed record Machine(
    string Processor, int Cores, string Pinning, string System, string Runtime, string Sqlite, string Disk, string Date)
{
    public static Machine Describe(string folder)
    {
        using var connection = new SqliteConnection("Data Source=:memory:");
        connection.Open();
        var disk = DiskOf(folder);
        return new Machine(
            ProcessorName(),
            Benchmarks.Cores.Count,
            Benchmarks.Cores.Description,
            RuntimeInformation.OSDescription,
            RuntimeInformation.FrameworkDescription,
            connection.ServerVersion,
            disk is "tmpfs" or "ramfs" ? $"{disk}: memory, so that durability costs nothing here" : disk,
            DateTimeOffset.UtcNow.ToString("yyyy-MM-dd HH:mm 'UTC'", CultureInfo.InvariantCulture));
    }

    private static string ProcessorName()
    {
        const string file = "/proc/cpuinfo";
        var line = File.Exists(file)
            ? File.ReadLines(file).FirstOrDefault(line => line.StartsWith("model name", StringComparison.Ordinal))
            : null;
        return line?[(line.IndexOf(':', StringComparison.Ordinal) + 1)..].Trim() ?? RuntimeInformation.ProcessArchitecture.ToString();
    }

    private static string DiskOf(string folder)
    {
        folder = Path.GetFullPath(folder);
        var drive = DriveInfo.GetDrives()
            .Where(drive => folder.StartsWith(drive.RootDirectory.FullName, StringComparison.Ordinal))
            .MaxBy(drive => drive.RootDirectory.FullName.Length);
        return drive?.DriveFormat ?? "unknown";
    }
}
