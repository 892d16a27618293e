using System.Runtime.InteropServices;

namespace EmbeddingKernels.Bench;

/// <summary>Finds a peer's shared library on this machine.</summary>
internal static class PeerLibrary
{
    /// <summary>The first library that loads and has the function <paramref name="probe"/>, or 0.</summary>
    /// <param name="variable">An environment variable that names the file, before all names; null where there is none.</param>
    /// <param name="names">Names for the system's loader.</param>
    /// <param name="probe">A function that the peer is used for.</param>
    public static nint Find(string? variable, string[] names, string probe)
    {
        string? told = variable is null ? null : Environment.GetEnvironmentVariable(variable);
        foreach (string name in string.IsNullOrEmpty(told) ? names : [told])
        {
            if (NativeLibrary.TryLoad(name, out nint library) && NativeLibrary.TryGetExport(library, probe, out _))
                return library;
        }

        return 0;
    }

    /// <summary>What a function without arguments says of itself as UTF-8 text; empty where there is no such function.</summary>
    public static unsafe string Text(nint library, string function) =>
        NativeLibrary.TryGetExport(library, function, out nint address)
            ? Marshal.PtrToStringUTF8(((delegate* unmanaged<nint>)address)())?.Trim() ?? ""
            : "";
}

/// <summary>GNU's OpenMP run time, which several peers take their threads from.</summary>
internal static unsafe class OpenMp
{
    private static readonly nint Library = PeerLibrary.Find(null, ["libgomp.so.1"], "omp_set_num_threads");

    /// <summary>Threads of the parallel regions that the calling thread enters from now on.</summary>
    public static void SetThreads(int threads)
    {
        if (Library != 0)
            ((delegate* unmanaged<int, void>)NativeLibrary.GetExport(Library, "omp_set_num_threads"))(threads);
    }
}
