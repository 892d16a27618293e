using System.Runtime.InteropServices;

namespace EmbeddingKernels.Bench;

/// <summary>The BLIS library of this machine, if it has one.</summary>
internal sealed unsafe class Blis : Cblas
{
    private readonly delegate* unmanaged<long, void> _setThreads;

    private Blis(nint library)
        : base(library)
    {
        _setThreads = (delegate* unmanaged<long, void>)NativeLibrary.GetExport(library, "bli_thread_set_num_threads");
        Name = $"BLIS {PeerLibrary.Text(library, "bli_info_get_version_str")}";
        int id = ((delegate* unmanaged<int>)NativeLibrary.GetExport(library, "bli_arch_query_id"))();
        nint architecture = ((delegate* unmanaged<int, nint>)NativeLibrary.GetExport(library, "bli_arch_string"))(id);
        Description = $"{Name} {Marshal.PtrToStringUTF8(architecture)}";
    }

    /// <summary>How to bring it in.</summary>
    public static string Missing => "BLIS: not found; `apt-get install libblis4-pthread`";

    public override string Name { get; }

    public override string Description { get; }

    /// <summary>The library, or null.</summary>
    public static Blis? TryLoad() =>
        PeerLibrary.Find(null, ["libblis.so.4", "libblis.so", "libblis.dylib"], "bli_thread_set_num_threads") is not 0 and nint library ? new(library) : null;

    public override bool SetThreads(int threads)
    {
        _setThreads(threads);
        return true;
    }
}
