using System.Runtime.InteropServices;

namespace EmbeddingKernels.Bench;

/// <summary>CPU seconds (user and system) of this process and of the children that it has waited for.</summary>
internal static partial class CpuTime
{
    private const int Self = 0;
    private const int Children = -1;

    public static double OfThisProcess => Seconds(Self);

    public static double OfChildren => Seconds(Children);

    private static unsafe double Seconds(int who)
    {
        if (!OperatingSystem.IsLinux())
            return who == Self ? Environment.CpuUsage.TotalTime.TotalSeconds : double.NaN;

        // struct rusage: user and system time as (seconds, microseconds), then fourteen longs.
        long* usage = stackalloc long[18];
        return getrusage(who, usage) == 0 ? usage[0] + usage[2] + ((usage[1] + usage[3]) * 1e-6) : double.NaN;
    }

    [LibraryImport("libc")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static unsafe partial int getrusage(int who, long* usage);
}
