using System.Globalization;

namespace EmbeddingKernels.Core.Tests;

/// <summary>What Linux says about this process's mappings.</summary>
internal static class ProcMaps
{
    public static void SkipElsewhere()
    {
        if (!OperatingSystem.IsLinux())
            Assert.Ignore("skipped: mappings are read from /proc/self");
    }

    /// <summary>Whether any mapping holds <paramref name="address"/>.</summary>
    public static bool IsMapped(nint address) => File.ReadLines("/proc/self/maps").Any(line => Holds(line, address));

    /// <summary>The lines of /proc/self/smaps on the mapping that holds <paramref name="address"/>.</summary>
    public static IReadOnlyList<string> Details(nint address) =>
        [.. File.ReadAllLines("/proc/self/smaps").SkipWhile(line => !Holds(line, address)).Skip(1).TakeWhile(line => line.Split(' ')[0].EndsWith(':'))];

    private static bool Holds(string line, nint address)
    {
        string[] range = line.Split(' ')[0].Split('-');
        return range.Length == 2
            && ulong.TryParse(range[0], NumberStyles.HexNumber, CultureInfo.InvariantCulture, out ulong first)
            && ulong.TryParse(range[1], NumberStyles.HexNumber, CultureInfo.InvariantCulture, out ulong end)
            && (ulong)address >= first && (ulong)address < end;
    }
}
