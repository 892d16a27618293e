using System.Runtime.InteropServices;

namespace EmbeddingKernels.Bench;

/// <summary>A thread that keeps one core busy until it is disposed, as another program would.</summary>
internal sealed unsafe partial class BusyCore : IDisposable
{
    private readonly Thread _thread;
    private volatile bool _ended;

    /// <summary>Starts it on a core; where the system has no such call, on any.</summary>
    public BusyCore(int core)
    {
        using ManualResetEventSlim started = new();
        _thread = new(() =>
        {
            if (OperatingSystem.IsLinux())
            {
                ulong mask = 1ul << core;
                _ = sched_setaffinity(0, sizeof(ulong), &mask);
            }

            started.Set();
            while (!_ended)
            {
                // Without a pause: a spinning thread that pauses leaves the core's other half to others.
            }
        })
        {
            IsBackground = true,
            Name = "busy core",
        };
        _thread.Start();
        started.Wait();
    }

    public void Dispose()
    {
        _ended = true;
        _thread.Join();
    }

    [LibraryImport("libc")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int sched_setaffinity(int thread, nuint bytes, ulong* mask);
}
