using System.Runtime.InteropServices;

namespace EmbeddingKernels.Bench;

/// <summary>The OpenBLAS library of this machine, if it has one.</summary>
internal sealed unsafe class OpenBlas : Cblas
{
    private readonly delegate* unmanaged<int, void> _setThreads;

    private OpenBlas(nint library)
        : base(library)
    {
        _setThreads = (delegate* unmanaged<int, void>)NativeLibrary.GetExport(library, "openblas_set_num_threads");
        Description = PeerLibrary.Text(library, "openblas_get_config");
        Name = string.Join(' ', Description.Split(' ').Take(2));
    }

    /// <summary>How to bring it in.</summary>
    public static string Missing => "OpenBLAS: not found; `apt-get install libopenblas0-pthread`";

    public override string Name { get; }

    public override string Description { get; }

    /// <summary>The library, or null.</summary>
    public static OpenBlas? TryLoad() =>
        PeerLibrary.Find(null, ["libopenblas.so.0", "libopenblas.dylib", "libopenblas.dll"], "openblas_set_num_threads") is not 0 and nint library ? new(library) : null;

    public override bool SetThreads(int threads)
    {
        _setThreads(threads);
        return true;
    }
}
