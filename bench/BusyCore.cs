using System.Diagnostics;
using System.Runtime.InteropServices;

namespace EmbeddingKernels.Bench;

/// <summary>Another program that keeps one core busy until it is disposed. Its CPU time is not counted as this process's.</summary>
internal sealed unsafe partial class BusyCore : IDisposable
{
    private readonly Process _process;

    /// <summary>Starts it on a core; where the system has no such call, on any.</summary>
    public BusyCore(int core)
    {
        _process = Process.Start(new ProcessStartInfo("sh", ["-c", "while :; do :; done"]))!;
        if (OperatingSystem.IsLinux())
        {
            ulong mask = 1ul << core;
            _ = sched_setaffinity(_process.Id, sizeof(ulong), &mask);
        }
    }

    public void Dispose()
    {
        _process.Kill();
        _process.WaitForExit();
        _process.Dispose();
    }

    [LibraryImport("libc")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int sched_setaffinity(int process, nuint bytes, ulong* mask);
}
